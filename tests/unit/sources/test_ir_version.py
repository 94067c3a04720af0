"""The IR version is lowered where nothing in the file needs the newer one."""

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import helper

import graphs
from onnxyard.errors import UnsupportedModelError
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.sources.ir_version import lower, needed


def test_a_plain_model_is_lowered_and_answers_the_same(tmp_path):
    file, weights = graphs.linear(tmp_path / "model.onnx")
    lower(file, 8)
    assert onnx.load(file).ir_version == 8
    features = np.ones((2, 4), np.float32)
    answer = OnnxRuntime.load(file, provider="CPUExecutionProvider", threads=1).run({"features": features})
    np.testing.assert_allclose(answer["scores"], features @ weights, rtol=1e-6)


def test_a_low_one_stays(tmp_path):
    file, _ = graphs.linear(tmp_path / "model.onnx")
    content = file.read_bytes()
    lower(file, 10)
    assert file.read_bytes() == content


def test_weights_beside_the_file_are_not_touched(tmp_path):
    file, _ = graphs.linear(tmp_path / "model.onnx", external=True)
    data = (tmp_path / "model.onnx.data").read_bytes()
    lower(file, 8)
    assert onnx.load(file, load_external_data=False).ir_version == 8
    assert (tmp_path / "model.onnx.data").read_bytes() == data


def test_what_needs_the_newer_one_is_named(tmp_path):
    file = graphs.write(
        tmp_path / "model.onnx",
        [
            helper.make_node("Cast", ["packed"], ["weights"], to=graphs.FLOAT),
            helper.make_node("MatMul", ["features", "weights"], ["scores"]),
        ],
        [graphs.tensor("features", graphs.FLOAT, ["batch", 4])],
        [graphs.tensor("scores", graphs.FLOAT, ["batch", 3])],
        weights={"packed": np.ones((4, 3)).astype(ml_dtypes.int4)},
        opset=21,
    )
    assert needed(onnx.load(file)) == (10, "INT4 tensors")
    with pytest.raises(UnsupportedModelError, match="needs IR version 10 for its INT4 tensors; 9 is the highest"):
        lower(file, 9)
    lower(file, 10)
