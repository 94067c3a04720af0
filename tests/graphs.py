"""Small ONNX files that tests share, written by hand with onnx.helper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING


def tensor(name: str, dtype: int, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    """A graph's input or output."""
    return helper.make_tensor_value_info(name, dtype, shape)


def write(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    *,
    weights: dict[str, np.ndarray] | None = None,
    opset: int = 20,
    external: bool = False,
) -> Path:
    """Write a model of these nodes, unchecked: some of them are meant to be broken."""
    constants = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, path, save_as_external_data=external, location=f"{path.name}.data", size_threshold=0)
    return path


def linear(path: Path, *, external: bool = False, scale: float = 1.0) -> tuple[Path, np.ndarray]:
    """`scores = features @ weights`, FLOAT [batch, 4] to [batch, 3]; the file and the weights."""
    weights = (np.random.default_rng(0).normal(size=(4, 3)) * scale).astype(np.float32)
    written = write(
        path,
        [helper.make_node("MatMul", ["features", "weights"], ["scores"])],
        [tensor("features", FLOAT, ["batch", 4])],
        [tensor("scores", FLOAT, ["batch", 3])],
        weights={"weights": weights},
        external=external,
    )
    return written, weights


def counting(path: Path, *, rounds: int) -> Path:
    """A Loop that adds 1 to `features`, FLOAT [batch, 4], so many times."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["value", "one"], ["next"])],
        "body",
        [tensor("round", INT64, []), tensor("go", TensorProto.BOOL, []), tensor("value", FLOAT, ["batch", 4])],
        [tensor("on", TensorProto.BOOL, []), tensor("next", FLOAT, ["batch", 4])],
    )
    return write(
        path,
        [helper.make_node("Loop", ["rounds", "go_on", "features"], ["scores"], body=body)],
        [tensor("features", FLOAT, ["batch", 4])],
        [tensor("scores", FLOAT, ["batch", 4])],
        weights={"rounds": np.array(rounds), "go_on": np.array(True), "one": np.ones((1, 1), np.float32)},
    )


def endless(path: Path) -> Path:
    """A Loop whose condition stays true: 2^63 rounds."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["value"], ["next"])],
        "body",
        [tensor("round", INT64, []), tensor("go", TensorProto.BOOL, []), tensor("value", FLOAT, ["batch", 4])],
        [tensor("on", TensorProto.BOOL, []), tensor("next", FLOAT, ["batch", 4])],
    )
    return write(
        path,
        [helper.make_node("Loop", ["", "forever", "features"], ["scores"], body=body)],
        [tensor("features", FLOAT, ["batch", 4])],
        [tensor("scores", FLOAT, ["batch", 4])],
        weights={"forever": np.array(True)},
    )


def greedy(path: Path, *, values: int = 1 << 30) -> Path:
    """A file of a few hundred bytes that asks for `values` floats (4 GiB by default)."""
    return write(
        path,
        [
            helper.make_node("Shape", ["features"], ["rows"], start=0, end=1),
            helper.make_node("Concat", ["rows", "many"], ["shape"], axis=0),
            helper.make_node(
                "ConstantOfShape", ["shape"], ["zeros"], value=helper.make_tensor("one", FLOAT, [1], [1.0])
            ),
            helper.make_node("ReduceSum", ["zeros"], ["scores"], keepdims=0),
        ],
        [tensor("features", FLOAT, ["batch", 4])],
        [tensor("scores", FLOAT, [])],
        weights={"many": np.array([values], dtype=np.int64)},
    )
