"""Which ONNX Runtime release loads what: the table agrees with itself, and with the release that is installed."""

from itertools import pairwise

import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

import graphs
from onnxyard.errors import InvalidRequestError
from onnxyard.runtimes.releases import LOWEST_OPSET, RELEASES, release_named, smallest_release


def test_nothing_that_a_release_loads_is_lost_in_the_next_one():
    for older, newer in pairwise(RELEASES):
        assert older.opset <= newer.opset
        assert older.ml <= newer.ml
        assert older.ir_version <= newer.ir_version


@given(opset=st.integers(LOWEST_OPSET, 28), ir_version=st.integers(3, 14), ml=st.integers(1, 5))
def test_the_smallest_release_loads_it_and_the_one_before_does_not(opset, ir_version, ml):
    opsets = {"": opset, "ai.onnx.ml": ml}
    release = smallest_release(opsets, ir_version)
    assert release is not None
    assert release.loads(opsets, ir_version)
    at = RELEASES.index(release)
    assert at == 0 or not RELEASES[at - 1].loads(opsets, ir_version)


@pytest.mark.parametrize(
    ("opsets", "ir_version", "name"),
    [
        ({"": 9}, 3, "1.0"),
        ({"": 17}, 8, "1.12"),
        ({"": 20}, 9, "1.17"),
        ({"": 20}, 10, "1.18"),
        ({"": 15, "ai.onnx.ml": 3}, 8, "1.12"),
        ({"": 27}, 10, "1.32"),
    ],
)
def test_known_rows(opsets, ir_version, name):
    release = smallest_release(opsets, ir_version)
    assert release is not None
    assert release.name == name


def test_a_domain_that_is_no_standard_one_has_no_release():
    assert smallest_release({"": 20, "com.example": 1}, 10) is None


def test_a_patch_release_is_its_minor_one_and_a_newer_one_is_the_newest_known():
    assert release_named("1.17.3") is release_named("1.17")
    assert release_named("1.99") is RELEASES[-1]


@pytest.mark.parametrize("name", ["", "1", "seventeen", "0.5", "1.x"])
def test_other_names_are_refused(name):
    with pytest.raises(InvalidRequestError, match="release"):
        release_named(name)


def loads(path, *, opset, ir_version):
    graphs.write(
        path,
        [helper.make_node("Identity", ["features"], ["scores"])],
        [graphs.tensor("features", graphs.FLOAT, ["batch", 4])],
        [graphs.tensor("scores", graphs.FLOAT, ["batch", 4])],
        opset=opset,
    )
    model = onnx.load(path)
    model.ir_version = ir_version
    path.write_bytes(model.SerializeToString())
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        ort.InferenceSession(path, sess_options=options, providers=["CPUExecutionProvider"])
    except (ort_errors.Fail, ort_errors.InvalidGraph, ort_errors.NotImplemented):
        return False
    return True


def test_the_installed_release_loads_exactly_what_its_row_says(tmp_path):
    row = release_named(ort.__version__)
    assert ort.__version__.startswith(f"{row.name}.")
    assert loads(tmp_path / "highest.onnx", opset=row.opset, ir_version=row.ir_version)
    assert not loads(tmp_path / "opset.onnx", opset=row.opset + 1, ir_version=row.ir_version)
    assert not loads(tmp_path / "ir.onnx", opset=row.opset, ir_version=row.ir_version + 1)
