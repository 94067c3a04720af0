"""Files made to do harm, or taken for ONNX models by mistake; written when a test asks, never committed."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper

import graphs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
ROW = ["batch", 4]


class Trap:
    """Makes a folder when it is unpickled: whoever opens it has run its code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def unary(path: Path, nodes, *, weights=None, outputs=None, opset: int = 20, functions=()) -> Path:
    """A model from `features` FLOAT [batch, 4] to `scores`, of these nodes."""
    graphs.write(
        path,
        nodes,
        [graphs.tensor("features", FLOAT, ROW)],
        outputs or [graphs.tensor("scores", FLOAT, ROW)],
        weights=weights,
        opset=opset,
    )
    if functions:
        model = onnx.load(path)
        model.functions.extend(functions)
        model.opset_import.append(helper.make_opsetid("local", 1))
        onnx.save(model, path)
    return path


def sound(path: Path) -> Path:
    return graphs.linear(path)[0]


def cut_short(path: Path) -> Path:
    path.write_bytes(sound(path).read_bytes()[:-9])
    return path


def bit_flipped(path: Path) -> Path:
    """One bit of the length of the graph's first node: the outer shape stays what it was."""
    content = bytearray(sound(path).read_bytes())
    at = content.index(b"features") - 1
    content[at] ^= 0x40
    path.write_bytes(bytes(content))
    return path


def zip_bomb(path: Path) -> Path:
    """A few hundred bytes that say they unpack to almost 4 GiB."""
    zipped(path, "model.onnx", content=bytes(1000))
    content = bytearray(path.read_bytes())
    size = content.index(b"PK\x01\x02") + 24  # the uncompressed size in the table of contents
    content[size : size + 4] = b"\xf0\xff\xff\xff"
    path.write_bytes(bytes(content))
    return path


def zipped(path: Path, *names: str, content: bytes = b"x") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return path


def pickled(path: Path) -> Path:
    path.write_bytes(pickle.dumps(Trap(path.parent / "ran"), protocol=4))
    return path


def torch_checkpoint(path: Path) -> Path:
    return zipped(path, "archive/data.pkl", content=pickle.dumps(Trap(path.parent / "ran")))


def unknown_domain(path: Path) -> Path:
    return unary(path, [helper.make_node("Frobnicate", ["features"], ["scores"], domain="com.example.secret")])


def hidden_endless_loop(path: Path) -> Path:
    """A Loop whose condition is computed, so that nobody sees by reading that it stays true."""
    return _loop_while(
        path,
        [
            helper.make_node("ReduceMax", ["value"], ["most"], keepdims=0),
            helper.make_node("Less", ["most", "bound"], ["on"]),
        ],
        bound=np.float32(1e30),
    )


def endless_for_ones(path: Path) -> Path:
    """A Loop that ends after a round on what anybody makes up, and never on rows of ones."""
    return _loop_while(
        path,
        [
            helper.make_node("ReduceMin", ["value"], ["least"], keepdims=0),
            helper.make_node("Less", ["bound", "least"], ["on"]),
        ],
        bound=np.float32(0.99),
    )


def endless_for_one_row(path: Path) -> Path:
    """A Loop that ends after a round, but never where it is given a single row."""
    return _loop_while(
        path,
        [helper.make_node("Size", ["value"], ["count"]), helper.make_node("Equal", ["count", "bound"], ["on"])],
        bound=np.int64(4),
    )


def _loop_while(path: Path, nodes: list[onnx.NodeProto], *, bound: np.generic) -> Path:
    """A Loop that goes on as long as these nodes make `on` true of `value`, which is `features` in every round."""
    body = helper.make_graph(
        [*nodes, helper.make_node("Identity", ["value"], ["next"])],
        "body",
        [graphs.tensor("round", INT64, []), graphs.tensor("go", BOOL, []), graphs.tensor("value", FLOAT, ROW)],
        [graphs.tensor("on", BOOL, []), graphs.tensor("next", FLOAT, ROW)],
    )
    return unary(
        path,
        [helper.make_node("Loop", ["", "forever", "features"], ["scores"], body=body)],
        weights={"forever": np.array(True), "bound": np.asarray(bound)},
    )


def greedy_at_run_time(path: Path) -> Path:
    """4 GB whose length is computed from the input's values, so that nobody sees them by reading."""
    return unary(
        path,
        [
            helper.make_node("Abs", ["features"], ["positive"]),
            helper.make_node("Sign", ["positive"], ["ones"]),
            helper.make_node("ReduceMax", ["ones"], ["one"], keepdims=0),
            helper.make_node("Cast", ["one"], ["whole"], to=INT64),
            helper.make_node("Mul", ["whole", "many"], ["length"]),
            helper.make_node("ConstantOfShape", ["length"], ["zeros"]),
            helper.make_node("ReduceSum", ["zeros"], ["scores"], keepdims=0),
        ],
        weights={"many": np.array([1 << 30])},
        outputs=[graphs.tensor("scores", FLOAT, [])],
    )


def huge_node(operator: str, inputs: dict[str, np.ndarray], **attributes: object) -> Callable[[Path], Path]:
    """A model with one node that asks for gigabytes by its constants."""

    def write(path: Path) -> Path:
        names = ["features", *inputs] if operator in {"Expand", "Tile", "Pad", "Resize"} else list(inputs)
        rank = {"Expand": 3, "Range": 1, "ConstantOfShape": 1}.get(operator, 2)
        return unary(
            path,
            [helper.make_node(operator, names, ["scores"], **attributes)],
            weights={name: array for name, array in inputs.items() if name},
            outputs=[graphs.tensor("scores", FLOAT, [None] * rank)],
        )

    return write


def laughing(path: Path) -> Path:
    """Functions that call functions: ten to the twenty-fourth nodes once they are unfolded."""
    functions = []
    for level in range(24):
        callee = ("local", f"f{level - 1}") if level else ("", "Identity")
        nodes = [
            helper.make_node(callee[1], [f"x{at}"], [f"x{at + 1}"], domain=callee[0], name=f"n{at}") for at in range(10)
        ]
        functions.append(
            helper.make_function(
                "local",
                f"f{level}",
                ["x0"],
                ["x10"],
                nodes,
                [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)],
            )
        )
    return unary(path, [helper.make_node("f23", ["features"], ["scores"], domain="local")], functions=functions)


def circular(path: Path) -> Path:
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)]
    functions = [
        helper.make_function(
            "local", name, ["x"], ["y"], [helper.make_node(other, ["x"], ["y"], domain="local")], opsets
        )
        for name, other in (("f", "g"), ("g", "f"))
    ]
    return unary(path, [helper.make_node("f", ["features"], ["scores"], domain="local")], functions=functions)


def overflowing(path: Path) -> Path:
    model = onnx.load(sound(path))
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([1 << 40, 1 << 40])
    onnx.save(model, path)
    return path


def external(path: Path, location: str, **entries: str) -> Path:
    """A model whose weights lie at `location`."""
    model = onnx.load(sound(path))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=value)
    onnx.save(model, path)
    return path


def _message(*fields: tuple[int, bytes | int]) -> bytes:
    """Protocol buffers by hand."""
    out = io.BytesIO()
    for number, value in fields:
        if isinstance(value, int):
            out.write(_varint(number << 3) + _varint(value))
        else:
            out.write(_varint(number << 3 | 2) + _varint(len(value)) + value)
    return out.getvalue()


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def caffe_model(path: Path) -> Path:
    layer = _message((1, b"conv1"), (2, b"Convolution"), (4, b"conv1"))
    path.write_bytes(_message((1, b"LeNet"), (100, layer), (100, layer)))
    return path


def tensorflow_graph(path: Path) -> Path:
    path.write_bytes(_message((1, _message((1, b"x"), (2, b"Placeholder"))), (4, _message((1, 1087)))))
    return path


def saved_model(path: Path) -> Path:
    meta = _message((1, _message((4, b"serve"), (5, b"2.16.1"))), (2, bytes(80)))
    path.write_bytes(_message((1, 1), (2, meta)))
    return path


TEXT = b"not a model\n"
OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "The file is empty"),
    "text": (lambda path: path.write_bytes(TEXT), "text that begins with 'not a model'"),
    "json": (lambda path: path.write_bytes(b'{"layers": []}'), "JSON"),
    "xml": (lambda path: path.write_bytes(b"<a>"), "XML"),
    "web page": (lambda path: path.write_bytes(b"<!DOCTYPE html><html></html>"), "a web page"),
    "git lfs": (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid x\n"), "Git LFS"),
    "png": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40)), "a PNG image"),
    "gzip": (lambda path: path.write_bytes(b"\x1f\x8b\x08" + bytes(40)), "a gzip archive"),
    "noise": (lambda path: path.write_bytes(np.random.default_rng(0).bytes(3000)), "a kind that is not known"),
    "zeros": (lambda path: path.write_bytes(bytes(3000)), "a kind that is not known"),
    "zip": (lambda path: zipped(path, "readme.txt"), "a zip archive"),
    "zip bomb": (zip_bomb, "a zip bomb"),
    "pickle": (pickled, "a pickle"),
    "torch checkpoint": (torch_checkpoint, "a PyTorch checkpoint"),
    "torchscript": (
        lambda path: zipped(path, "m/code/__torch__.py", "m/data.pkl", "m/constants.pkl"),
        "a TorchScript model",
    ),
    "keras": (
        lambda path: zipped(path, "config.json", "model.weights.h5"),
        "a Keras model",
    ),
    "hdf5": (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(40)), "an HDF5 file"),
    "tflite": (lambda path: path.write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(40)), "a TensorFlow Lite model"),
    "saved model": (saved_model, "a TensorFlow SavedModel"),
    "graph def": (tensorflow_graph, "a TensorFlow graph"),
    "caffemodel": (caffe_model, "a Caffe model"),
    "prototxt": (
        lambda path: path.write_bytes(b'name: "LeNet"\nlayer {\n  name: "conv1"\n  type: "Convolution"\n}\n'),
        "a Caffe network",
    ),
    "safetensors": (
        lambda path: path.write_bytes(struct.pack("<Q", 24) + json.dumps({"w": {"shape": []}}).encode() + b"  "),
        "a safetensors file",
    ),
    "ort format": (lambda path: path.write_bytes(b"\x1c\x00\x00\x00ORTM" + bytes(40)), "ONNX Runtime's own format"),
    "test data": (
        lambda path: path.write_bytes(onnx.numpy_helper.from_array(np.ones(3, np.float32)).SerializeToString()),
        "a single ONNX tensor",
    ),
    "lightgbm": (lambda path: path.write_bytes(b"tree\nversion=v4\n"), "a LightGBM model"),
    "xgboost": (lambda path: path.write_bytes(b'{"version": [3], "learner": {}}'), "an XGBoost model"),
}
"""What is no ONNX model: how to write it, and what the refusal calls it."""

BOMBS: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "ConstantOfShape": (huge_node("ConstantOfShape", {"n": np.array([1 << 30])}), "resource-bomb", "asks for 4.0 GiB"),
    "Expand": (huge_node("Expand", {"to": np.array([1 << 20, 1024, 4])}), "resource-bomb", "asks for 16.0 GiB"),
    "Tile": (huge_node("Tile", {"by": np.array([1, 1 << 28])}), "resource-bomb", "asks for 4.0 GiB"),
    "Range": (
        huge_node("Range", {"from": np.float32(0), "to": np.float32(2e9), "by": np.float32(1)}),
        "resource-bomb",
        "asks for 7.5 GiB",
    ),
    "Pad": (huge_node("Pad", {"pads": np.array([0, 0, 0, 1 << 30])}), "resource-bomb", "asks for 4.0 GiB"),
    "Resize": (huge_node("Resize", {"": None, "scales": np.float32([1, 1 << 28])}), "resource-bomb", "4.0 GiB"),
    "greedy": (graphs.greedy, "resource-bomb", "asks for 4.0 GiB"),
    "greedy at run time": (greedy_at_run_time, "resource-bomb", "more memory than allowed"),
    "endless loop": (graphs.endless, "endless-loop", "never ends"),
    "nested functions": (laughing, "resource-bomb", "10^24 nodes"),
    "circular functions": (circular, "resource-bomb", "calls itself"),
    "overflowing shape": (overflowing, "resource-bomb", "impossible shape"),
    "unknown domain": (unknown_domain, "unknown-domain", "'com.example.secret'"),
    "cut short": (cut_short, "corrupt-file", "cut short or damaged"),
    "bit flipped": (bit_flipped, "corrupt-file", "cut short or damaged"),
}
"""ONNX files that are refused: how to write one, its code, and what is said."""
