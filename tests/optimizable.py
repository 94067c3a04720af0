"""Models that every optimization pass is tried on: one of each kind that people bring, small and written by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper, parser

from onnxyard.processing.composing import framed, front
from pieces import specs, step

Inputs = dict[str, np.ndarray]
HEADER = '<ir_version: 10, opset_import: ["" : {opset}]>\n'


@dataclass(frozen=True)
class Sample:
    """A model and what it is asked.

    Attributes:
        name: What kind of model it is.
        model: Builds it.
        inputs: Rows for it, from their number; the same for the same number.
        external: Whether its weights lie in a file beside it.
    """

    name: str
    model: Callable[[], onnx.ModelProto]
    inputs: Callable[[int], Inputs]
    external: bool = False

    def write(self, folder: Path) -> Path:
        """Write `model.onnx` into a folder that is made."""
        folder.mkdir(parents=True)
        file = folder / "model.onnx"
        onnx.save_model(
            self.model(),
            file,
            save_as_external_data=self.external,
            location="weights.bin",
            size_threshold=0,
        )
        return file


def built(text: str, weights: dict[str, np.ndarray] | None = None, *, opset: int = 20) -> onnx.ModelProto:
    """A model from its text, and its weights."""
    model = parser.parse_model(HEADER.format(opset=opset) + text)
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in (weights or {}).items())
    onnx.checker.check_model(model, full_check=True)
    return model


def drawn(seed: int, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Weights of a size that keeps activations near 1."""
    random = np.random.default_rng(seed)
    return {
        name: (random.normal(size=shape) / np.sqrt(max(1, np.prod(shape[1:])))).astype(np.float32)
        for name, shape in shapes.items()
    }


def statistics(seed: int, name: str, channels: int) -> dict[str, np.ndarray]:
    """A batch normalization's four constants, as training leaves them: `NAME.scale` and so on."""
    random = np.random.default_rng(seed)
    ranges = {"scale": (0.5, 2), "bias": (-1, 1), "mean": (-1, 1), "var": (0.5, 2)}
    return {f"{name}_{kind}": random.uniform(*ends, channels).astype(np.float32) for kind, ends in ranges.items()}


def norm(name: str) -> str:
    """The constants' names as a node takes them."""
    return ", ".join(f"{name}_{kind}" for kind in ("scale", "bias", "mean", "var"))


def cnn() -> onnx.ModelProto:
    """Batch normalization behind a convolution, in front of one, and behind a matrix product."""
    return built(
        f"""
        cnn (float[batch,3,12,12] pixels) => (float[batch,5] scores) {{
          a = Conv <pads=[1,1,1,1]> (pixels, w1)
          b = BatchNormalization (a, {norm("n1")})
          c = Relu (b)
          d = BatchNormalization (c, {norm("n2")})
          e = Conv <strides=[2,2]> (d, w2, b2)
          f = Relu (e)
          g = GlobalAveragePool (f)
          h = Flatten (g)
          i = Gemm <transB=1> (h, w3, b3)
          j = BatchNormalization (i, {norm("n3")})
          k = Relu (j)
          scores = Gemm (k, w4, b4)
        }}
        """,
        drawn(0, w1=(8, 3, 3, 3), w2=(16, 8, 3, 3), b2=(16,), w3=(12, 16), b3=(12,), w4=(12, 5), b4=(5,))
        | statistics(1, "n1", 8)
        | statistics(2, "n2", 8)
        | statistics(3, "n3", 12),
    )


def encoder() -> onnx.ModelProto:
    """One layer as the dynamo exporter writes it: self-attention of 2 heads, 16 wide, over 6 tokens."""
    weights = drawn(4, q=(16, 16), k=(16, 16), v=(16, 16), o=(16, 16), up=(16, 32), down=(32, 16), table=(50, 16))
    weights |= drawn(5, bq=(16,), bk=(16,), bv=(16,), bo=(16,), bup=(32,), bdown=(16,), head=(16, 3), bhead=(3,))
    weights |= {"ones": np.ones(16, np.float32), "zeros": np.zeros(16, np.float32)}
    weights |= {"split": np.array([0, -1, 2, 8]), "merge": np.array([0, -1, 16]), "eight": np.float32(np.sqrt(8))}
    weights |= {"first": np.array(0)}
    lanes = "\n".join(
        f"""
        m{n} = MatMul (x, {n})
        a{n} = Add (m{n}, b{n})
        r{n} = Reshape <allowzero=0> (a{n}, split)
        t{n} = Transpose <perm=[0,2,{"3,1" if n == "k" else "1,3"}]> (r{n})
        """
        for n in "qkv"
    )
    return built(
        f"""
        encoder (int64[batch,6] ids) => (float[batch,3] scores) {{
          x = Gather (table, ids)
          {lanes}
          products = MatMul (tq, tk)
          scaled = Div (products, eight)
          shares = Softmax <axis=-1> (scaled)
          mixed = MatMul (shares, tv)
          back = Transpose <perm=[0,2,1,3]> (mixed)
          flat = Reshape <allowzero=0> (back, merge)
          out = MatMul (flat, o)
          moved = Add (out, bo)
          sum = Add (x, moved)
          y = LayerNormalization <axis=-1, epsilon=0.00001> (sum, ones, zeros)
          wide = MatMul (y, up)
          biased = Add (wide, bup)
          bent = Gelu (biased)
          narrow = MatMul (bent, down)
          shifted = Add (narrow, bdown)
          total = Add (y, shifted)
          z = LayerNormalization <axis=-1, epsilon=0.00001> (total, ones, zeros)
          token = Gather <axis=1> (z, first)
          scores = Gemm (token, head, bhead)
        }}
        """,
        weights,
    )


def trees() -> onnx.ModelProto:
    """A boosted ensemble as LightGBM's export gives it."""
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["score"],
        domain="ai.onnx.ml",
        nodes_treeids=[0, 0, 0, 1, 1, 1],
        nodes_nodeids=[0, 1, 2, 0, 1, 2],
        nodes_featureids=[0, 0, 0, 2, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"] * 2,
        nodes_values=[0.1, 0.0, 0.0, -0.3, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0, 1, 0, 0],
        nodes_falsenodeids=[2, 0, 0, 2, 0, 0],
        nodes_missing_value_tracks_true=[0] * 6,
        target_treeids=[0, 0, 1, 1],
        target_nodeids=[1, 2, 1, 2],
        target_ids=[0, 0, 0, 0],
        target_weights=[0.5, -1.5, 2.0, 0.25],
        n_targets=1,
    )
    graph = helper.make_graph(
        [node, helper.make_node("Sigmoid", ["score"], ["probability"])],
        "trees",
        [helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("probability", onnx.TensorProto.FLOAT, ["batch", 1])],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def strings() -> onnx.ModelProto:
    """Words in, words out."""
    model = parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 20, "ai.onnx.ml" : 4]>
        strings (string[batch] words) => (string[batch] answers, float[batch] known)
        <string nothing = {""}> {
          empty = Equal (words, nothing)
          there = Not (empty)
          known = Cast <to=1> (there)
          index = ai.onnx.ml.LabelEncoder <keys_strings=["red","green"], values_int64s=[1,2], default_int64=0> (words)
          answers = ai.onnx.ml.LabelEncoder
            <keys_int64s=[0,1,2], values_strings=["?","rot","gruen"], default_string="!"> (index)
        }
    """)
    onnx.checker.check_model(model)
    return model


def subgraphs() -> onnx.ModelProto:
    """If, Loop and Scan, whose graphs read tensors of the graph around them."""
    return built(
        """
        subgraphs (float[batch,4] features) => (float[batch,4] scores) {
          hidden = MatMul (features, w)
          sum = ReduceSum <keepdims=0> (hidden)
          positive = Greater (sum, zero)
          either = If (positive) <
            then_branch = then () => (float[batch,4] doubled) { doubled = Mul (hidden, two) },
            else_branch = other () => (float[batch,4] turned) { turned = Neg (hidden) }>
          looped = Loop (rounds, yes, either) <
            body = body (int64 i, bool go, float[batch,4] state) => (bool on, float[batch,4] next) {
              on = Identity (go)
              next = Add (state, hidden)
            }>
          start = Identity (none)
          last, scores = Scan <num_scan_inputs=1,
            body = step (float[4] total, float[4] row) => (float[4] more, float[4] kept) {
              more = Add (total, row)
              kept = Mul (more, two)
            }> (start, looped)
        }
        """,
        drawn(6, w=(4, 4))
        | {"zero": np.float32(0), "two": np.float32(2), "rounds": np.array(2), "yes": np.array(True)}
        | {"none": np.zeros(4, np.float32)},
    )


def weightless() -> onnx.ModelProto:
    """One node and no weights: there is nothing to optimize."""
    return built("weightless (float[batch,4] features) => (float[batch,4] scores) { scores = Relu (features) }")


def passing() -> onnx.ModelProto:
    """The input is the output, with as little as may be in between."""
    return built("passing (float[batch,4] features) => (float[batch,4] scores) { scores = Identity (features) }")


def wasteful() -> onnx.ModelProto:
    """Constants that could be computed, weights that nothing reads, weights that are there twice."""
    same = drawn(7, w=(4, 4))["w"]
    return built(
        """
        wasteful (float[batch,4] features) => (float[batch,4] scores) {
          both = Add (w, twin)
          a = MatMul (features, both)
          b = MatMul (a, w)
          unread = Relu (a)
          scores = MatMul (b, twin)
        }
        """,
        {"w": same, "twin": same.copy(), "nobody": np.ones((30, 30), np.float32)},
    )


def with_steps() -> onnx.ModelProto:
    """A dense network whose raw input is integers, normalized by a step in the graph."""
    raw = {"features": np.zeros((2, 4), np.int32)}
    step_ = step("normalize", input="features", mean=[1.0, 2.0, 3.0, 4.0], std=[2.0, 2.0, 2.0, 2.0])
    before = front([step_], specs(raw), opset=20, root=Path())
    core = built(
        """
        dense (float[axis0,4] features) => (float[axis0,3] scores) {
          a = MatMul (features, w1)
          b = Add (a, b1)
          c = Relu (b)
          d = Mul (c, one)
          scores = Gemm (d, w2, b2)
        }
        """,
        drawn(8, w1=(4, 32), b1=(32,), w2=(32, 3), b2=(3,)) | {"one": np.float32(1)},
    )
    return framed(core, before.model, None)


def _normal(name: str, *shape: int) -> Callable[[int], Inputs]:
    return lambda rows: {name: np.random.default_rng(rows).normal(size=(rows, *shape)).astype(np.float32)}


_ids = lambda rows: {"ids": np.random.default_rng(rows).integers(0, 50, (rows, 6))}  # noqa: E731
_words = lambda rows: {"words": np.array(["red", "green", "blue", ""] * rows, dtype=object)[:rows]}  # noqa: E731
_whole = lambda rows: {"features": np.random.default_rng(rows).integers(-9, 9, (rows, 4), np.int32)}  # noqa: E731

SAMPLES = (
    Sample("cnn", cnn, _normal("pixels", 3, 12, 12)),
    Sample("cnn-external", cnn, _normal("pixels", 3, 12, 12), external=True),
    Sample("encoder", encoder, _ids),
    Sample("trees", trees, _normal("features", 4)),
    Sample("strings", strings, _words),
    Sample("subgraphs", subgraphs, _normal("features", 4)),
    Sample("weightless", weightless, _normal("features", 4)),
    Sample("passing", passing, _normal("features", 4)),
    Sample("wasteful", wasteful, _normal("features", 4)),
    Sample("steps", with_steps, _whole),
)
