"""Targets' ONNX Runtime releases: opset and IR version fit all of them, or the target is named."""

from dataclasses import replace

import pytest
from small_project import FILE, write_project

from onnxyard.errors import UnsupportedModelError
from onnxyard.stages.export.ceilings import check_fits, fitting_opset, highest_ir_version
from onnxyard.stages.export.stage import run

TWO = '\n[targets.edge]\nonnxruntime = "{edge}"\n\n[targets.cpu]\nonnxruntime = "{cpu}"\n'


@pytest.fixture
def project(tmp_path):
    def make(*, edge="1.32", cpu="1.32", opset=None):
        stated = "" if opset is None else f"\n[export]\nopset = {opset}\n"
        return write_project(tmp_path / f"{edge}-{cpu}-{opset}", file=FILE + stated + TWO.format(edge=edge, cpu=cpu))

    return make


@pytest.mark.parametrize(
    ("edge", "cpu", "opset", "ir_version"),
    [("1.32", "1.32", 20, 14), ("1.17", "1.32", 20, 9), ("1.32", "1.16", 19, 9), ("1.10", "1.16", 15, 8)],
)
def test_an_unstated_opset_is_lowered_to_the_lowest_ceiling(project, edge, cpu, opset, ir_version):
    made = project(edge=edge, cpu=cpu)
    assert (fitting_opset(made), highest_ir_version(made)) == (opset, ir_version)


def test_a_stated_opset_that_fits_stays(project):
    assert fitting_opset(project(edge="1.17", opset=18)) == 18


def test_a_stated_opset_that_does_not_fit_names_the_target_and_what_fits(project):
    with pytest.raises(UnsupportedModelError, match=r"Opset 21 .* target 'edge': ONNX Runtime 1\.17") as caught:
        fitting_opset(project(edge="1.17", opset=21))
    assert caught.value.facts["highest_opset"] == 20
    assert "[targets.edge]" in caught.value.where
    assert "opset = 20" in caught.value.remedy


def test_without_a_ceiling_nothing_is_limited(tmp_path):
    made = write_project(tmp_path / "free")
    assert (fitting_opset(made), highest_ir_version(made)) == (20, None)
    check_fits(made, {"": 28, "ai.onnx.ml": 5}, 14)


def test_another_domain_counts_too(project):
    made = project(edge="1.16")
    check_fits(made, {"": 15, "ai.onnx.ml": 3}, 8)
    with pytest.raises(UnsupportedModelError, match=r"ai\.onnx\.ml 5"):
        check_fits(made, {"": 15, "ai.onnx.ml": 5}, 8)


def test_the_ceilings_are_part_of_the_key_and_nothing_else_of_the_targets(developed_way, tmp_path):
    request = developed_way.export_request()

    def key(lines):
        (tmp_path / lines.replace("\n", "_")).mkdir()
        made = write_project(tmp_path / lines.replace("\n", "_"), file=f"{FILE}\n[targets.cpu]\n{lines}")
        return type(request)(made, request.developed, request.fitted, request.golden_set, request.processing).key()

    assert key("batch_sizes = [1]\n") == key("batch_sizes = [8]\n")
    assert key('onnxruntime = "1.17"\n') == key('onnxruntime = "1.17"\nthreads = 2\n')
    assert len({key("threads = 1\n"), key('onnxruntime = "1.18"\n'), key('onnxruntime = "1.16"\n')}) == 3


def test_what_is_exported_loads_in_the_oldest_target(developed_way, tmp_path):
    project = write_project(tmp_path / "project", file=FILE + TWO.format(edge="1.16", cpu="1.32"))
    exported = run(replace(developed_way.export_request(), project=project), tmp_path / "work")
    assert (exported.opset, exported.ir_version) == (19, 9)
