"""What is found by reading a parsed model: external data, bombs, loops, domains."""

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import graphs
import hostile
from onnxyard.sources.admission.bombs import refuse_endless_loops, refuse_tensors
from onnxyard.sources.admission.examining import refuse_structure
from onnxyard.sources.admission.external import data_files, refuse_external_data

BUDGET = 2 << 30


def structure(path):
    return refuse_structure(onnx.load(path, load_external_data=False), BUDGET)


READ = [name for name, (_, code, _) in hostile.BOMBS.items() if code != "corrupt-file" and name != "greedy at run time"]


@pytest.mark.parametrize("name", READ)
def test_a_bomb_is_found_by_reading(tmp_path, name):
    write, code, said = hostile.BOMBS[name]
    found = structure(write(tmp_path / "model.onnx"))
    assert code in {refusal.code for refusal in found}
    assert any(said in refusal.what for refusal in found)


def loop(path, *, rounds, inputs, last="go"):
    body = helper.make_graph(
        [helper.make_node("Identity", [last], ["on"]), helper.make_node("Identity", ["value"], ["next"])],
        "body",
        [
            graphs.tensor("round", TensorProto.INT64, []),
            graphs.tensor("go", TensorProto.BOOL, []),
            graphs.tensor("value", TensorProto.FLOAT, hostile.ROW),
        ],
        [graphs.tensor("on", TensorProto.BOOL, []), graphs.tensor("next", TensorProto.FLOAT, hostile.ROW)],
    )
    weights = {"rounds": np.array(rounds), "true": np.array(True), "false": np.array(False)}
    node = helper.make_node("Loop", [*inputs, "features"], ["scores"], body=body)
    return hostile.unary(path, [node], weights=weights)


@pytest.mark.parametrize(
    ("arguments", "endless"),
    [
        ({"rounds": 5, "inputs": ["rounds", "true"]}, False),
        ({"rounds": 5, "inputs": ["rounds", ""]}, False),
        ({"rounds": 1 << 62, "inputs": ["rounds", "true"]}, True),
        ({"rounds": 0, "inputs": ["", "true"]}, True),
        ({"rounds": 0, "inputs": ["", "false"]}, False),
        ({"rounds": 0, "inputs": ["", "true"], "last": "false"}, False),
        ({"rounds": 0, "inputs": ["", "true"], "last": "true"}, True),
    ],
)
def test_only_loops_that_cannot_end_are_endless(tmp_path, arguments, endless):
    model = onnx.load(loop(tmp_path / "model.onnx", **arguments))
    assert bool(list(refuse_endless_loops(model))) is endless


def test_weights_that_do_not_fill_their_shape_are_corrupt(tmp_path):
    model = onnx.load(hostile.sound(tmp_path / "model.onnx"))
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-1]
    (refusal,) = refuse_tensors(model, BUDGET)
    assert (refusal.code, refusal.node) == ("corrupt-file", "weights")
    assert "holds 47 bytes" in refusal.what


def test_a_sparse_tensor_that_unfolds_to_gigabytes(tmp_path):
    model = onnx.load(hostile.sound(tmp_path / "model.onnx"))
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(onnx.numpy_helper.from_array(np.ones(1, np.float32), "few"))
    sparse.indices.CopyFrom(onnx.numpy_helper.from_array(np.zeros(1, np.int64), "where"))
    sparse.dims.extend([1 << 20, 1 << 12])
    assert [refusal.what for refusal in refuse_tensors(model, BUDGET)] == [
        "The sparse tensor 'few' unfolds to 16.0 GiB."
    ]


def test_a_function_of_the_model_is_no_unknown_domain(tmp_path):
    function = helper.make_function(
        "local", "f", ["x"], ["y"], [helper.make_node("Abs", ["x"], ["y"])], [helper.make_opsetid("", 20)]
    )
    path = hostile.unary(
        tmp_path / "m.onnx", [helper.make_node("f", ["features"], ["scores"], domain="local")], functions=[function]
    )
    assert structure(path) == []


# --- weights in files of their own


def external(tmp_path, location, **entries):
    path = hostile.external(tmp_path / "model.onnx", location, **entries)
    return [refusal.what for refusal in refuse_external_data(onnx.load(path, load_external_data=False), tmp_path)]


def test_data_beside_the_model_is_fine(tmp_path):
    (tmp_path / "weights.bin").write_bytes(bytes(100))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "weights.bin").write_bytes(bytes(48))
    assert external(tmp_path, "weights.bin", offset="52", length="48") == []
    assert external(tmp_path, "sub/weights.bin") == []
    model = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    assert data_files(model) == ("sub/weights.bin",)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("/etc/passwd", "an absolute path"),
        ("C:/weights.bin", "an absolute path"),
        ("\\\\server\\weights", "an absolute path"),
        ("../weights.bin", "outside the model's folder"),
        ("sub/../../weights.bin", "outside the model's folder"),
        ("a\\..\\b", "outside the model's folder"),
        ("*/_ORT_MEM_ADDR_/*", "which does not exist"),  # ONNX Runtime's own mark for an address in its memory
        ("missing.bin", "which does not exist"),
        ("", "which is no file's name"),
        (".", "which is no file's name"),
        ("a\x00b", "which is no file's name"),
        ("folder", "which is no plain file"),
        ("pipe", "which is no plain file"),
        ("soft", "a symbolic link"),
        ("through/weights.bin", "a symbolic link"),
        ("hard", "a hard link"),
    ],
)
def test_data_anywhere_else_is_refused(tmp_path, location, said):
    outside = tmp_path / "outside"
    inside = tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "weights.bin").write_bytes(bytes(48))
    (inside / "folder").mkdir()
    os.mkfifo(inside / "pipe")
    (inside / "soft").symlink_to(outside / "weights.bin")
    (inside / "through").symlink_to(outside)
    os.link(outside / "weights.bin", inside / "hard")
    (refused,) = external(inside, location)
    assert said in refused


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"offset": "1"}, "bytes 1 to 49 are asked for, and the file has 48 bytes"),
        ({"offset": "-1"}, "bytes -1 to 47"),
        ({"length": "40"}, "40 bytes are named where [4, 3] needs 48"),
        ({"length": str(1 << 62)}, "are asked for"),
        ({"offset": "x"}, "no number"),
    ],
)
def test_data_that_does_not_fit_is_refused(tmp_path, entries, said):
    (tmp_path / "weights.bin").write_bytes(bytes(48))
    (refused,) = external(tmp_path, "weights.bin", **entries)
    assert said in refused
