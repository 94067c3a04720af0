"""Optimize: every recipe's outcome is told, and the choice is made without the test split."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from onnx import helper
from small_project import FILE, write_project

import graphs
from onnxyard.errors import InvalidRequestError, UnsupportedModelError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.project.data import Split, Splits
from onnxyard.project.project import Project
from onnxyard.runtimes.graph import read_graph
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.stages.optimize import candidates as candidates_module
from onnxyard.stages.optimize.recipes import RECIPES
from onnxyard.stages.optimize.stage import run


class Untouchable(Split):
    """A split that says so when anything reads it."""

    def __init__(self):
        super().__init__({"measured": np.zeros((1, 4), np.int32)}, np.zeros(1))

    def _refuse(self, *_):
        raise AssertionError("the test split was read")

    inputs = property(_refuse)
    targets = property(_refuse)
    batches = take = part = changed = __len__ = _refuse


@dataclass(frozen=True)
class Watched(Project):
    """A project whose data comes from a function of the test's."""

    splits: object = None

    def functions(self):
        return Observed(super().functions(), self.splits)


class Observed:
    def __init__(self, functions, change):
        self._functions, self._change = functions, change

    def __getattr__(self, name):
        return getattr(self._functions, name)

    def data(self):
        return self._change(self._functions.data())


def watched(project, change) -> Watched:
    return Watched(project.root, project.file, project.code_digest, splits=change)


def request_with(way, project):
    request = way.optimize_request()
    return type(request)(
        project, request.developed, request.exported, request.model, request.processing, request.machine
    )


@pytest.fixture(scope="module")
def result(exported_way, tmp_path_factory):
    workspace = tmp_path_factory.mktemp("optimized")
    return run(exported_way.optimize_request(), workspace), workspace


def test_every_recipe_is_measured_and_one_is_chosen(result):
    made, _ = result
    assert [candidate.recipe for candidate in made.candidates] == ["fp32", "int8-qdq", "int8-dynamic"]
    for candidate in made.candidates:
        assert candidate.target == "cpu"
        assert candidate.quality > 0.9
        assert 0 < candidate.p50_ms <= candidate.p99_ms
        assert candidate.size_bytes > 0
        assert candidate.note
    assert sum(candidate.chosen for candidate in made.candidates) == 1


def test_the_chosen_model_is_an_artifact_of_its_own(result):
    made, workspace = result
    (model,) = made.models
    chosen = next(candidate for candidate in made.candidates if candidate.chosen)
    assert model.recipe == chosen.recipe
    assert model.model == Artifact.of_folder(workspace / "model-cpu")
    graph = read_graph(workspace / "model-cpu" / "model.onnx")
    assert (model.precision, model.opset, model.ir_version) == (graph.precision, graph.opset, graph.ir_version)
    assert [path.name for path in workspace.iterdir()] == ["model-cpu"]


def test_the_test_split_is_never_read(exported_way, tmp_path):
    def hide(splits):
        return Splits(
            train=splits.train, calibration=splits.calibration, validation=splits.validation, test=Untouchable()
        )

    made = run(request_with(exported_way, watched(exported_way.project, hide)), tmp_path)
    assert made.models
    with pytest.raises(AssertionError, match="test split was read"):
        Untouchable().batches(1)


def test_only_the_calibration_split_sets_ranges(exported_way, tmp_path, monkeypatch):
    seen = []
    real = RECIPES["int8-qdq"]

    def spy(source, folder, calibration):
        seen.extend(batch["features"] for batch in calibration())
        return real(source, folder, calibration)

    monkeypatch.setitem(candidates_module.RECIPES, "int8-qdq", spy)
    run(exported_way.optimize_request(), tmp_path)
    calibration = exported_way.project.functions().data().calibration
    np.testing.assert_allclose(np.concatenate(seen), calibration.inputs["measured"] / np.float32(10), rtol=1e-6)


def test_recipes_give_the_same_bytes_each_time(exported_way, tmp_path):
    made = [
        candidates_module.make_all(
            ("int8-qdq", "int8-dynamic"),
            exported_way.workspace / "export" / "model" / "model.onnx",
            tmp_path / str(turn),
            exported_way.project.functions().data().calibration,
            processing(exported_way),
        )
        for turn in range(2)
    ]
    first, second = ([one.file.read_bytes() for one in turn] for turn in made)
    assert first == second


def processing(way):
    from onnxyard.project.processing import load_processing  # noqa: PLC0415 - one test needs it

    return load_processing(way.processing)


def test_fp32_stays_in_the_standard_domain(exported_way, tmp_path):
    made = RECIPES["fp32"](exported_way.workspace / "export" / "model" / "model.onnx", tmp_path, iter)
    assert not [name for name in read_graph(made).operators if "::" in name]


def test_a_recipe_that_quantizes_nothing_says_so_and_is_never_chosen(exported_way, tmp_path):
    folder = tmp_path / "model"
    graphs.write(
        folder / "model.onnx",
        [
            helper.make_node("Sub", ["features", "features"], ["none"]),
            helper.make_node("Slice", ["features", "from", "to", "axis"], ["logits"]),
        ],
        [graphs.tensor("features", graphs.FLOAT, ["batch", 4])],
        [graphs.tensor("logits", graphs.FLOAT, ["batch", 3])],
        weights={"from": np.array([0]), "to": np.array([3]), "axis": np.array([1])},
    )
    request = exported_way.optimize_request()
    made = run(
        type(request)(request.project, request.developed, request.exported, folder, request.processing, "machine"),
        tmp_path,
    )
    by_recipe = {candidate.recipe: candidate for candidate in made.candidates}
    assert by_recipe["fp32"].chosen
    assert by_recipe["int8-dynamic"].note == "no node was quantized"
    assert by_recipe["int8-dynamic"].quality is None


def test_a_recipe_that_breaks_is_an_outcome(exported_way, tmp_path, monkeypatch):
    def breaks(_source, _folder, _calibration):
        raise KeyError("value_info\nsecond line")

    monkeypatch.setitem(candidates_module.RECIPES, "int8-qdq", breaks)
    made = run(exported_way.optimize_request(), tmp_path)
    broken = next(candidate for candidate in made.candidates if candidate.recipe == "int8-qdq")
    assert broken.note.startswith("KeyError: 'value_info")
    assert (broken.quality, broken.chosen) == (None, False)


def test_a_fast_candidate_that_loses_quality_is_passed_over(exported_way, tmp_path, monkeypatch):
    def ruins(source, folder, _calibration):
        model = onnx.load(source)
        weights = model.graph.initializer[0]
        weights.CopyFrom(onnx.numpy_helper.from_array(np.zeros_like(onnx.numpy_helper.to_array(weights)), weights.name))
        onnx.save(model, folder / "model.onnx")
        return folder / "model.onnx"

    monkeypatch.setitem(candidates_module.RECIPES, "int8-qdq", ruins)
    made = run(exported_way.optimize_request(), tmp_path)
    ruined = next(candidate for candidate in made.candidates if candidate.recipe == "int8-qdq")
    assert "quality drops by" in ruined.note
    assert not ruined.chosen


def test_a_metric_the_project_lacks_is_named(exported_way, tmp_path):
    file = FILE.replace("[optimize]", '[optimize]\nmetric = "recall"').replace(
        "accuracy = 0.9\n", "recall = 0.9\naccuracy = 0.9\n"
    )
    project = write_project(tmp_path / "project", file=file)
    with pytest.raises(InvalidRequestError, match=r"'recall'.*They are accuracy"):
        run(request_with(exported_way, project), tmp_path)


def test_a_provider_that_is_not_verified_is_refused(exported_way, tmp_path):
    file = FILE + '\n[targets.gpu]\nprovider = "CUDAExecutionProvider"\n'
    with pytest.raises(UnsupportedModelError, match="not verified"):
        run(request_with(exported_way, write_project(tmp_path / "project", file=file)), tmp_path)


def test_openvino_is_a_target_like_any_other(exported_way, tmp_path):
    file = FILE + '\n[targets.cpu]\nthreads = 1\n\n[targets.ov]\nruntime = "openvino"\nthreads = 1\nbatch_size = 4\n'
    made = run(request_with(exported_way, write_project(tmp_path / "project", file=file)), tmp_path)
    assert {model.target for model in made.models} == {"cpu", "ov"}
    by_recipe = {candidate.recipe: candidate for candidate in made.candidates if candidate.target == "ov"}
    assert by_recipe["fp32"].quality > 0.9
    assert by_recipe["int8-qdq"].quality > 0.9
    assert (tmp_path / "model-ov" / "model.onnx").is_file()


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_weights_in_a_file_of_their_own_come_along(exported_way, tmp_path, recipe):
    model = onnx.load(exported_way.workspace / "export" / "model" / "model.onnx")
    folder = tmp_path / "source"
    folder.mkdir()
    onnx.save_model(model, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    calibration = exported_way.project.functions().data().calibration
    source = folder / "model.onnx"
    made = {
        one.recipe: one
        for one in candidates_module.make_all(
            (recipe,), source, tmp_path / "made", calibration, processing(exported_way)
        )
    }
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(made[recipe].file.parent, elsewhere)
    shutil.rmtree(folder)
    shutil.rmtree(tmp_path / "made")
    loaded = OnnxRuntime().load(elsewhere / "model.onnx", provider="CPUExecutionProvider", threads=1)
    assert loaded.run({"features": np.ones((2, 4), np.float32)})["logits"].shape == (2, 3)
