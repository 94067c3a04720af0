"""Mending ready files: a new file, proven; never in place, never half."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

import graphs
import hostile
from integration.inspection.test_inspect_file import changed, codes, map_type, noted, wasteful
from onnxyard.diagnosis.inspection.fixing import fix_file
from onnxyard.errors import ArtifactCorruptError, ConflictError, InvalidRequestError

ROWS = np.random.default_rng(2).normal(size=(5, 4)).astype(np.float32)


def run(file, **inputs):
    return ort.InferenceSession(file).run(None, inputs)


def test_waste_is_removed_and_the_answers_stay(tmp_path):
    file = wasteful(tmp_path / "model.onnx")
    content = file.read_bytes()
    mended = fix_file(file, ["dead-weights", "dead-nodes", "duplicate-weights"], tmp_path / "mended.onnx")
    assert mended.file == tmp_path / "mended.onnx"
    assert mended.applied == {"dead-nodes": 0.0, "dead-weights": 0.0, "duplicate-weights": 0.0}
    assert mended.refused == {}
    assert file.read_bytes() == content
    assert codes(mended.file) == {"oversize-constant", "nonfinite-weights"}
    assert len(content) - mended.file.stat().st_size > 64 * 64 * 4 + 500 * 4
    np.testing.assert_array_equal(*(run(each, features=ROWS)[0] for each in (file, mended.file)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mended.onnx", "model.onnx"]


def test_weights_beside_the_file_stay_beside_it(tmp_path):
    file, weights = graphs.linear(tmp_path / "model.onnx", external=True)
    model = onnx.load(file, load_external_data=False)
    noted(model)
    model.graph.node[0].doc_string = "made in /home/me"
    onnx.save(model, file)
    mended = fix_file(file, ["foreign-notes"], tmp_path / "mended.onnx").file
    assert {path.name for path in tmp_path.iterdir()} == {
        "mended.onnx",
        "mended.onnx.data",
        "model.onnx",
        "model.onnx.data",
    }
    np.testing.assert_array_equal(run(mended, features=ROWS)[0], ROWS @ weights)
    node = onnx.load(mended).graph.node[0]
    assert node.doc_string == ""
    assert {entry.key: entry.value for entry in node.metadata_props} == {
        "onnxyard.module": "body.head",
        "onnxyard.source": "net.py:12",
    }


def test_the_ir_version_is_lowered_to_a_release(tmp_path):
    file = hostile.sound(tmp_path / "model.onnx")
    mended = fix_file(file, ["above-ceiling"], tmp_path / "old.onnx", ceiling="1.17").file
    assert onnx.load(mended).ir_version == 9
    assert codes(mended, ceiling="1.17") == set()


def test_an_ir_version_that_is_needed_is_not_lowered(tmp_path):
    def narrow(model):
        model.graph.initializer.append(helper.make_tensor("tiny", TensorProto.INT4, [2], [1, 2]))

    file = changed(hostile.sound(tmp_path / "model.onnx"), narrow)
    mended = fix_file(file, ["above-ceiling"], tmp_path / "old.onnx", ceiling="1.17")
    assert mended.file is None
    assert "IR version 10" in mended.refused["above-ceiling"]
    assert not (tmp_path / "old.onnx").exists()


def test_maps_become_the_probabilities(tmp_path):
    file = graphs.write(
        tmp_path / "model.onnx",
        [
            helper.make_node("Softmax", ["x"], ["p"]),
            helper.make_node("ZipMap", ["p"], ["maps"], domain="ai.onnx.ml", classlabels_strings=["b", "a"]),
        ],
        [graphs.tensor("x", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_value_info("maps", helper.make_sequence_type_proto(map_type()))],
    )
    changed(file, lambda model: model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 4)))
    mended = fix_file(file, ["unsupported-output"], tmp_path / "mended.onnx").file
    assert codes(mended) == set()
    rows = ROWS[:, :2].copy()
    maps, plain = run(file, x=rows)[0], run(mended, x=rows)[0]
    assert plain.shape == (5, 2)
    assert [[row["b"], row["a"]] for row in maps] == plain.tolist()


def training(path, *nodes, weights):
    return hostile.unary(path, list(nodes), weights=weights)


def test_training_mode_becomes_inference(tmp_path):
    file = training(
        tmp_path / "model.onnx",
        helper.make_node(
            "BatchNormalization",
            ["features", "ones", "zeros", "zeros", "ones"],
            ["a", "mean", "variance"],
            training_mode=1,
        ),
        helper.make_node("Dropout", ["a", "ratio", "training"], ["scores"]),
        weights={
            "ones": np.ones(4, np.float32),
            "zeros": np.zeros(4, np.float32),
            "ratio": np.float32(0.5),
            "training": np.array(True),
        },
    )
    assert codes(file) >= {"training-mode"}
    mended = fix_file(file, ["training-mode"], tmp_path / "mended.onnx")
    assert mended.applied.keys() == {"training-mode"}
    assert codes(mended.file) == set()
    np.testing.assert_allclose(run(mended.file, features=ROWS)[0], ROWS, rtol=1e-4)


def test_a_remedy_that_would_not_be_inference_is_refused(tmp_path):
    """The noise stays when Dropout is mended: the proof sees it."""
    file = training(
        tmp_path / "model.onnx",
        helper.make_node("Dropout", ["features", "ratio", "training"], ["a"]),
        helper.make_node("RandomNormalLike", ["a"], ["noise"]),
        helper.make_node("Add", ["a", "noise"], ["scores"]),
        weights={"ratio": np.float32(0.5), "training": np.array(True)},
    )
    mended = fix_file(file, ["training-mode"], tmp_path / "mended.onnx")
    assert mended.file is None
    assert "still move" in mended.refused["training-mode"]


def test_what_cannot_be_mended_is_told_before_anything_is_written(tmp_path):
    file = hostile.sound(tmp_path / "model.onnx")
    (tmp_path / "there.onnx").write_bytes(b"")
    with pytest.raises(ConflictError):
        fix_file(file, ["dead-weights"], tmp_path / "there.onnx")
    with pytest.raises(InvalidRequestError, match="resource-bomb"):
        fix_file(file, ["resource-bomb"], tmp_path / "new.onnx")
    with pytest.raises(ArtifactCorruptError):
        fix_file(hostile.cut_short(tmp_path / "cut.onnx"), ["dead-weights"], tmp_path / "new.onnx")
    assert not (tmp_path / "new.onnx").exists()
