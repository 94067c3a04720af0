"""A CNN, an MLP and an encoder of a few thousand weights, written by hand: exporting them would take longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import helper

import graphs
from onnxyard.stages.optimize.passes.transformation import Materials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_node = helper.make_node


def cnn(path: Path, *, opset: int = 20, batch: int | str = "batch") -> Path:
    """`pixels` FLOAT [batch, 3, 16, 16] to `scores` [batch, 5]."""
    shapes = {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (16, 8, 3, 3), "b2": (16,), "w3": (16, 5), "b3": (5,)}
    weights = {name: _weights(shape) for name, shape in shapes.items()} | {"over": np.array([2, 3])}
    mean = (
        _node("ReduceMean", ["pooled", "over"], ["means"], keepdims=0)
        if opset >= 18
        else _node("ReduceMean", ["pooled"], ["means"], keepdims=0, axes=[2, 3])
    )
    if opset < 18:
        del weights["over"]
    return graphs.write(
        path,
        [
            _node("Conv", ["pixels", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
            _node("Relu", ["c1"], ["r1"]),
            _node("Conv", ["r1", "w2", "b2"], ["c2"], pads=[1, 1, 1, 1], strides=[2, 2]),
            _node("Relu", ["c2"], ["r2"]),
            _node("MaxPool", ["r2"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
            mean,
            _node("Gemm", ["means", "w3", "b3"], ["scores"]),
        ],
        [graphs.tensor("pixels", graphs.FLOAT, [batch, 3, 16, 16])],
        [graphs.tensor("scores", graphs.FLOAT, [batch, 5])],
        weights=weights,
        opset=opset,
    )


def mlp(path: Path) -> Path:
    """`features` FLOAT [batch, 30] to `scores` [batch, 2]."""
    shapes = {"w1": (30, 64), "b1": (64,), "w2": (64, 2), "b2": (2,)}
    return graphs.write(
        path,
        [
            _node("Gemm", ["features", "w1", "b1"], ["h"]),
            _node("Relu", ["h"], ["r"]),
            _node("Gemm", ["r", "w2", "b2"], ["scores"]),
        ],
        [graphs.tensor("features", graphs.FLOAT, ["batch", 30])],
        [graphs.tensor("scores", graphs.FLOAT, ["batch", 2])],
        weights={name: _weights(shape) for name, shape in shapes.items()},
    )


def encoder(path: Path) -> Path:
    """`ids` INT64 [batch, sequence] of 100 words to `scores` FLOAT [batch, 3]: one layer, one head of width 16."""
    shapes = {"table": (100, 16), "one": (16,), "zero": (16,), "up": (16, 32), "down": (32, 16), "head": (16, 3)}
    weights = {name: _weights(shape) for name, shape in shapes.items()}
    weights |= {name: _weights((16, 16)) for name in ("q", "k", "v")}
    return graphs.write(
        path,
        [
            _node("Gather", ["table", "ids"], ["x"]),
            *(_node("MatMul", ["x", name], [f"{name}x"]) for name in ("q", "k", "v")),
            _node("Transpose", ["kx"], ["kt"], perm=[0, 2, 1]),
            _node("MatMul", ["qx", "kt"], ["logits"]),
            _node("Mul", ["logits", "scale"], ["scaled"]),
            _node("Softmax", ["scaled"], ["attention"]),
            _node("MatMul", ["attention", "vx"], ["mixed"]),
            _node("Add", ["x", "mixed"], ["sum"]),
            _node("LayerNormalization", ["sum", "one", "zero"], ["normal"]),
            _node("MatMul", ["normal", "up"], ["wide"]),
            _node("Gelu", ["wide"], ["bent"]),
            _node("MatMul", ["bent", "down"], ["narrow"]),
            _node("ReduceMean", ["narrow", "over"], ["mean"], keepdims=0),
            _node("MatMul", ["mean", "head"], ["scores"]),
        ],
        [graphs.tensor("ids", graphs.INT64, ["batch", "sequence"])],
        [graphs.tensor("scores", graphs.FLOAT, ["batch", 3])],
        weights=weights | {"scale": np.array(0.25, np.float32), "over": np.array([1])},
    )


def inputs(name: str, rows: int) -> dict[str, np.ndarray]:
    """Inputs of the `cnn`, the `mlp` or the `encoder`."""
    random = np.random.default_rng(rows)
    if name == "encoder":
        return {"ids": random.integers(0, 100, (rows, 7 + rows))}
    given, shape = ("pixels", (3, 16, 16)) if name == "cnn" else ("features", (30,))
    return {given: random.normal(size=(rows, *shape)).astype(np.float32)}


def materials(batch: dict[str, np.ndarray]) -> Materials:
    """Materials of one batch; no pass that compiles asks for the metric."""

    def calibration() -> Iterator[dict[str, np.ndarray]]:
        yield batch

    def score(_file: Path) -> float:
        raise AssertionError("the metric is nobody's business here")

    return Materials(calibration, score, 0.005)


def _weights(shape: tuple[int, ...]) -> np.ndarray:
    return (np.random.default_rng(sum(shape)).normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)
