"""What a file is, told from its first bytes."""

import pytest

import graphs
import hostile
from onnxyard.sources.admission.kinds import CAFFE_ROUTE, refuse_by_kind


@pytest.mark.parametrize("name", hostile.OTHERS)
def test_what_is_no_model_is_called_by_its_name(tmp_path, name):
    write, called = hostile.OTHERS[name]
    path = tmp_path / "model.onnx"
    write(path)
    refusal = refuse_by_kind(path)
    assert refusal is not None
    assert called in refusal.what
    assert refusal.code in {"not-onnx", "corrupt-file"}
    assert refusal.remedy
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("write", [lambda path: graphs.linear(path)[0], graphs.endless, graphs.greedy])
def test_a_model_is_no_other_thing(tmp_path, write):
    assert refuse_by_kind(write(tmp_path / "model.bin")) is None


@pytest.mark.parametrize("name", ["caffemodel", "prototxt"])
def test_caffe_is_told_the_route_that_works(tmp_path, name):
    hostile.OTHERS[name][0](tmp_path / "x")
    assert refuse_by_kind(tmp_path / "x").remedy == CAFFE_ROUTE


@pytest.mark.parametrize("name", ["keras", "hdf5", "saved model", "graph def"])
def test_tensorflow_is_told_to_make_a_project(tmp_path, name):
    hostile.OTHERS[name][0](tmp_path / "x")
    assert 'framework = "keras"' in refuse_by_kind(tmp_path / "x").remedy
