"""The space of a target: what its runtimes read and its precisions allow."""

from __future__ import annotations

import pytest

from onnxyard.errors import InvalidRequestError, MissingExtraError
from onnxyard.project import file as project_file
from onnxyard.project.agreement import BASELINE
from onnxyard.project.file import OptimizeSection, TargetSection
from onnxyard.runtimes import machine, runtime
from onnxyard.stages.optimize import space as space_module
from onnxyard.stages.optimize.recipes.catalogue import RECIPES
from onnxyard.stages.optimize.space import check_named, space_of


def made(target: dict, optimize: dict | None = None):
    return space_of(
        TargetSection.model_validate(target), OptimizeSection.model_validate(optimize or {}), RECIPES, baseline=BASELINE
    )


def names(space, at=0) -> set[str]:
    return {recipe.name for recipe in space.ways[at].recipes}


def test_the_project_file_knows_the_recipes_there_are():
    assert tuple(sorted(project_file.RECIPES)) == tuple(sorted(RECIPES))


def test_precisions_that_are_not_allowed_are_not_offered():
    space = made({"precision": ["fp32", "fp16"]})
    assert {recipe.precision for recipe in space.ways[0].recipes} == {"fp32", "fp16"}


def test_a_runtimes_precisions_are_those_that_are_allowed():
    assert made({"runtime": "openvino", "precision": ["fp32"]}).ways[0].options["precision"] == ("f32",)
    assert made({"runtime": "openvino", "precision": ["bf16", "int8"]}).ways[0].options["precision"] == ("f32", "bf16")


def test_the_baseline_is_there_whatever_is_named():
    space = made({"precision": ["int8"]}, {"recipes": ["int8-qdq"]})
    assert names(space) == {BASELINE, "int8-qdq"}
    assert space.baseline.recipe.name == BASELINE


def test_recipes_with_tools_of_their_own_are_tried_where_they_are_named():
    assert "olive" not in names(made({}))
    assert "olive" in names(made({}, {"recipes": ["fp32", "olive"]}))


def test_a_runtime_that_reads_no_onnx_has_its_own_baseline():
    space = made({"runtime": ["iree", "onnxruntime"]})
    assert space.baseline.recipe.name == "iree"
    assert BASELINE in names(space, 1)


def test_threads_are_the_targets_or_what_the_machine_allows(monkeypatch):
    monkeypatch.setattr(space_module, "usable_cores", lambda: 6)
    assert made({"threads": 3}).ways[0].threads == (3,)
    assert made({"threads": 0}).ways[0].threads == (6, 3, 1)


def test_without_tuning_only_precision_is_varied():
    space = made({"runtime": ["onnxruntime", "openvino"], "threads": 0}, {"tune": False})
    assert space.ways[0].options == {}
    assert set(space.ways[1].options) == {"precision"}
    assert [len(way.threads) for way in space.ways] == [1, 1]


def test_usable_cores_are_what_the_cgroup_allows_not_what_the_host_has():
    assert space_module.usable_cores is machine.usable_cores


def test_what_is_named_and_fits_nowhere_is_told():
    with pytest.raises(InvalidRequestError, match=r"'iree' gives nothing.*it is for iree"):
        check_named([made({}, {"recipes": ["fp32", "iree"]})], ("fp32", "iree"), RECIPES)
    check_named([made({}), made({"runtime": "iree"})], ("fp32", "iree"), RECIPES)  # one target takes it
    with pytest.raises(InvalidRequestError, match="No recipe gives anything"):
        made({"runtime": "iree", "precision": ["int8"]})


def test_a_runtime_that_is_not_installed_names_the_extra(monkeypatch):
    monkeypatch.setattr(runtime, "find_spec", lambda name: None if name == "openvino" else name)
    with pytest.raises(MissingExtraError, match="OpenVINO") as caught:
        made({"runtime": ["onnxruntime", "openvino"]})
    assert "onnxyard[runtimes]" in caught.value.remedy


def test_an_emulated_way_says_so():
    assert made({"runtime": "nnef"}).ways[0].emulated
    assert not made({}).ways[0].emulated
