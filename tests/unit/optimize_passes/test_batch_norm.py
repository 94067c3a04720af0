"""Folding batch normalization: the same answers with fewer nodes, whatever stands beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from onnxyard.runtimes.graph import describe_graph
from onnxyard.stages.optimize.passes.batch_norm import FoldBatchNorm
from optimizable import built, cnn, drawn, norm, statistics

BATCH = 3


def answers(model: onnx.ModelProto, given: np.ndarray) -> np.ndarray:
    """Without ONNX Runtime's own folding."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: given})[0]


def folded(model: onnx.ModelProto, folder) -> onnx.ModelProto:
    source = folder / "source"
    made = folder / "made"
    source.mkdir(exist_ok=True)
    made.mkdir(exist_ok=True)
    onnx.save_model(model, source / "model.onnx")
    done = FoldBatchNorm()(source / "model.onnx", made, None)
    after = onnx.load(done.file)
    onnx.checker.check_model(after, full_check=True)
    assert done.changed is (describe_graph(after).operators != describe_graph(model).operators)
    return after


def norms(model: onnx.ModelProto) -> int:
    return sum(node.op_type == "BatchNormalization" for node in model.graph.node)


@dataclass(frozen=True)
class Layer:
    """A linear layer, and whether a batch normalization in front of it can be folded."""

    operator: str
    weights: tuple[int, ...]
    inputs: tuple[int, ...]
    channels_in: int
    channels_out: int
    attributes: dict[str, Any]
    bias: tuple[int, ...] | None
    folds_before: bool


@st.composite
def convolutions(draw) -> Layer:
    group = draw(st.sampled_from([1, 2, 4]))
    per_in, per_out = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kernel = draw(st.sampled_from([(1,), (3,), (1, 1), (3, 2), (3, 3)]))
    axes = len(kernel)
    pads = draw(st.lists(st.integers(0, 1), min_size=2 * axes, max_size=2 * axes))
    attributes: dict[str, Any] = {"group": group, "strides": [draw(st.integers(1, 2)) for _ in kernel]}
    attributes |= draw(st.sampled_from([{"pads": pads}, {"auto_pad": "VALID"}, {"auto_pad": "SAME_UPPER"}, {}]))
    transposed = draw(st.booleans())
    channels = (group * per_in, group * per_out)
    weights = (channels[0], per_out, *kernel) if transposed else (channels[1], per_in, *kernel)
    pads_nothing = not any(attributes.get("pads", ())) and attributes.get("auto_pad") != "SAME_UPPER"
    return Layer(
        "ConvTranspose" if transposed else "Conv",
        weights,
        (channels[0], *(draw(st.integers(4, 6)) for _ in kernel)),
        *channels,
        attributes,
        draw(st.sampled_from([None, (channels[1],)])),
        folds_before=pads_nothing and not transposed,
    )


@st.composite
def products(draw) -> Layer:
    given, gives = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    if draw(st.booleans()):
        return Layer("MatMul", (given, gives), (given,), given, gives, {}, None, folds_before=True)
    flipped = draw(st.booleans())
    attributes = {"transB": int(flipped), "alpha": draw(st.sampled_from([1.0, 0.5])), "beta": 2.0}
    bias = draw(st.sampled_from([None, (gives,), (1, gives), (1,), ()]))
    weights = (gives, given) if flipped else (given, gives)
    return Layer("Gemm", weights, (given,), given, gives, attributes, bias, folds_before=True)


@given(st.one_of(convolutions(), products()), st.booleans(), st.integers(0, 1000), st.sampled_from([11, 14, 20]))
@settings(max_examples=60, deadline=None)
def test_answers_stay_whatever_the_layer(tmp_path_factory, layer, behind, seed, opset):
    random = np.random.default_rng(seed)
    channels = layer.channels_out if behind else layer.channels_in
    weights = {"w": random.normal(size=layer.weights).astype(np.float32), **statistics(seed, "n", channels)}
    if layer.bias is not None:
        weights["b"] = random.normal(size=layer.bias).astype(np.float32)
    constants = ["w", "b"] if "b" in weights else ["w"]
    normalized = ("inner", "y") if behind else ("x", "inner")
    nodes = [
        helper.make_node(
            layer.operator,
            ["x" if behind else "inner", *constants],
            ["inner" if behind else "y"],
            name="layer",
            **layer.attributes,
        ),
        helper.make_node("BatchNormalization", [normalized[0], *norm("n").split(", ")], [normalized[1]]),
    ]
    graph = helper.make_graph(
        nodes if behind else nodes[::-1],
        "pair",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *layer.inputs])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * (1 + len(layer.inputs)))],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    )
    given = random.normal(size=(BATCH, *layer.inputs)).astype(np.float32)
    expected = answers(model, given)
    after = folded(model, tmp_path_factory.mktemp("pair"))
    assert norms(after) == (0 if behind or layer.folds_before else 1)
    np.testing.assert_allclose(answers(after, given), expected, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(expected).max()))


def test_a_convolution_that_pads_keeps_a_normalization_in_front_unless_that_moves_nothing(tmp_path):
    weights = drawn(0, w=(4, 3, 3, 3)) | statistics(1, "n", 3)
    text = f"""pair (float[batch,3,8,8] x) => (float[batch,4,8,8] y) {{
        a = BatchNormalization (x, {norm("n")})
        y = Conv <pads=[1,1,1,1]> (a, w)
    }}"""
    assert norms(folded(built(text, weights), tmp_path)) == 1
    still = weights | {"n_bias": np.zeros(3, np.float32), "n_mean": np.zeros(3, np.float32)}
    model = built(text, still)
    given = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    after = folded(model, tmp_path)
    assert norms(after) == 0
    np.testing.assert_allclose(answers(after, given), answers(model, given), atol=1e-5)


PAIR = """pair (float[batch,4] x) => (float[batch,3] y{also}) {{
    {before}
    a = Gemm (x, w)
    y = BatchNormalization (a, n_scale, n_bias, n_mean, {variance})
    {more}
}}"""
SAFE = {"before": "", "variance": "n_var", "more": "", "also": ""}


@pytest.mark.parametrize(
    "different",
    [
        {"also": ", float[batch,3] a"},
        {"also": ", float[batch,3] z", "more": "z = Relu (a)"},
        {"before": "v2 = Abs (n_var)", "variance": "v2"},
        {
            "also": ", float[batch,3] z",
            "more": "z = If (yes) <then_branch = t () => (float[batch,3] p) { p = Relu (a) },"
            " else_branch = e () => (float[batch,3] q) { q = Neg (a) }>",
        },
    ],
    ids=["an output too", "read by others", "computed statistics", "read inside a branch"],
)
def test_what_others_need_is_left_alone(tmp_path, different):
    model = built(
        PAIR.format(**{**SAFE, **different}), drawn(0, w=(4, 3)) | statistics(1, "n", 3) | {"yes": np.array(True)}
    )
    assert norms(folded(model, tmp_path)) == 1


def test_weights_that_two_layers_share_stay_for_the_other(tmp_path):
    model = built(
        f"""shared (float[batch,4] x) => (float[batch,4] y) {{
            a = Gemm (x, w)
            b = BatchNormalization (a, {norm("n")})
            y = Gemm (b, w)
        }}""",
        drawn(0, w=(4, 4)) | statistics(1, "n", 4),
    )
    given = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    after = folded(model, tmp_path)
    assert norms(after) == 0
    np.testing.assert_allclose(answers(after, given), answers(model, given), atol=1e-5)


def test_weights_that_would_overflow_are_left_alone(tmp_path):
    weights = drawn(0, w=(4, 3)) | statistics(1, "n", 3)
    weights["n_scale"] = np.full(3, 3e38, np.float32)
    weights["w"] *= 100
    assert norms(folded(built(PAIR.format(**SAFE), weights), tmp_path)) == 1


def test_a_normalization_that_is_still_training_is_left_alone(tmp_path):
    text = (
        PAIR.format(**SAFE).replace("y = Batch", "y, m, v = Batch").replace("ization (", "ization <training_mode=1> (")
    )
    model = built(text, drawn(0, w=(4, 3)) | statistics(1, "n", 3))
    assert norms(folded(model, tmp_path)) == 1


def test_layers_keep_their_metadata_and_nothing_dead_stays(tmp_path):
    model = cnn()
    for node in model.graph.node:
        entry = node.metadata_props.add()
        entry.key, entry.value = "module", f"at {node.output[0]}"
    after = folded(model, tmp_path)
    assert norms(after) == 0
    assert all(node.metadata_props[0].value for node in after.graph.node)
    read = {name for node in after.graph.node for name in node.input}
    assert {tensor.name for tensor in after.graph.initializer} <= read
