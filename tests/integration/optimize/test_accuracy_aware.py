"""Accuracy-aware int8 finds the layer that ruins a network, returns that one to float, and says so."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxyard.errors import UnsupportedModelError
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.stages.optimize.passes.accuracy_aware import QuantizeAccuracyAware
from onnxyard.stages.optimize.passes.activation_ranges import MeasureRanges
from onnxyard.stages.optimize.passes.half_weights import HalfWeights
from onnxyard.stages.optimize.passes.quantize_static import QuantizeStatic
from onnxyard.stages.optimize.passes.transformation import Materials

WIDTH = 48
LAYERS = ("first", "second", "third", "fourth")


def network(ruined):
    """Four layers; input 0 of each but the first is always zero, so that its weights mean nothing.

    In the `ruined` ones they are huge nevertheless, and the scale of every output channel has to reach them.
    """
    random = np.random.default_rng(0)
    nodes, weights, given = [], [], "x"
    for name in LAYERS:
        matrix = random.normal(0.0, (2 / WIDTH) ** 0.5, (WIDTH, WIDTH)).astype(np.float32)
        bias = np.zeros(WIDTH, np.float32)
        if name in ruined:
            matrix[0] = 500.0
        if name != LAYERS[-1]:
            matrix[:, 0] = 0.0
        weights += [numpy_helper.from_array(matrix, f"{name}.w"), numpy_helper.from_array(bias, f"{name}.b")]
        nodes.append(helper.make_node("Gemm", [given, f"{name}.w", f"{name}.b"], [f"{name}.y"], name))
        given = f"{name}.y"
        if name != LAYERS[-1]:
            nodes.append(helper.make_node("Relu", [given], [f"{name}.relu"], f"{name}.relu"))
            given = f"{name}.relu"
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", WIDTH])],
        [helper.make_tensor_value_info(given, onnx.TensorProto.FLOAT, ["batch", WIDTH])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def answers(file):
    return next(iter(OnnxRuntime().load(file, provider="CPUExecutionProvider", threads=1).run({"x": rows()}).values()))


def rows():
    return np.random.default_rng(1).normal(size=(256, WIDTH)).astype(np.float32)


@pytest.fixture
def prepared(tmp_path):
    def prepare(ruined=(), max_drop=0.05):
        (tmp_path / "source").mkdir()
        (tmp_path / "ranged").mkdir()
        source = tmp_path / "source" / "model.onnx"
        onnx.save_model(network(ruined), source)
        classes = answers(source).argmax(axis=1)
        scored = []

        def score(file):
            scored.append(file)
            return float((answers(file).argmax(axis=1) == classes).mean())

        materials = Materials(lambda: ({"x": part} for part in np.split(rows(), 8)), score, max_drop)
        return MeasureRanges()(source, tmp_path / "ranged", materials).file, materials, scored

    return prepare


def apply(each, source, folder, materials):
    folder.mkdir()
    return each(source, folder, materials)


@pytest.mark.parametrize("ruined", ["second", "fourth"])
def test_exactly_the_layer_with_an_outlier_channel_is_returned_to_float(ruined, prepared, tmp_path):
    source, materials, scored = prepared({ruined})
    static = apply(QuantizeStatic(), source, tmp_path / "static", materials)
    assert materials.score(static.file) < 1.0 - 5 * materials.max_drop  # the fault is one
    scored.clear()
    aware = apply(QuantizeAccuracyAware(), source, tmp_path / "aware", materials)
    assert aware.facts["quantized"] == "3 of 4 layers"
    assert aware.facts["kept in float"].startswith(f"{ruined} (")
    assert "," not in aware.facts["kept in float"]
    assert "with these in float by" in aware.facts["why"]
    assert materials.score(aware.file) >= 1.0 - materials.max_drop
    assert len(scored) <= 4  # the source, all quantized, one in float, and ours
    kept = next(node for node in onnx.load(aware.file).graph.node if node.name == ruined)
    assert kept.input[1] == f"{ruined}.w"  # the very weights


def test_two_ruined_layers_are_both_named(prepared, tmp_path):
    source, materials, _ = prepared({"second", "third"})
    aware = apply(QuantizeAccuracyAware(), source, tmp_path / "aware", materials)
    assert aware.facts["quantized"] == "2 of 4 layers"
    assert {named.split(" (")[0] for named in aware.facts["kept in float"].split(", ")} == {"second", "third"}


def test_where_the_goal_holds_with_all_quantized_it_equals_plain_static(prepared, tmp_path):
    source, materials, _ = prepared()
    static = apply(QuantizeStatic(), source, tmp_path / "static", materials)
    aware = apply(QuantizeAccuracyAware(), source, tmp_path / "aware", materials)
    assert aware.file.read_bytes() == static.file.read_bytes()
    assert aware.facts["quantized"] == "4 of 4 layers"
    assert aware.facts["kept in float"].startswith("none")


def test_a_goal_that_no_quantized_layer_allows_is_told(prepared, tmp_path):
    source, materials, _ = prepared({"second"}, max_drop=-0.01)
    with pytest.raises(UnsupportedModelError, match="whichever of the 4 layers is quantized"):
        apply(QuantizeAccuracyAware(), source, tmp_path / "aware", materials)


def test_a_metric_that_is_not_a_number_does_not_hold(prepared, tmp_path):
    source, materials, _ = prepared()
    broken = Materials(materials.calibration, lambda _: float("nan"), materials.max_drop)
    with pytest.raises(UnsupportedModelError, match="whichever"):
        apply(QuantizeAccuracyAware(), source, tmp_path / "aware", broken)


def test_mixed_precision_stores_what_stays_in_float_in_16_bits(prepared, tmp_path):
    source, materials, _ = prepared({"second"})
    aware = apply(QuantizeAccuracyAware(), source, tmp_path / "aware", materials)
    mixed = apply(HalfWeights("fp16"), aware.file, tmp_path / "mixed", materials)
    assert mixed.facts["stored"].startswith("1 weights in fp16")
    halves = [t.name for t in onnx.load(mixed.file).graph.initializer if t.data_type == onnx.TensorProto.FLOAT16]
    assert halves == ["second.w/fp16"]
    assert materials.score(mixed.file) >= 1.0 - materials.max_drop
