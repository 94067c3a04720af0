"""Faults planted in exported graphs: each is named at the module and line it was planted at."""

from __future__ import annotations

import numpy as np
import pytest
from networks import line
from onnx import helper, numpy_helper

from onnxyard.diagnosis.blame import Verdict, blame


def attribute(name, value):
    def plant(_, node):
        kept = [one for one in node.attribute if one.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])

    return plant


def replace(op, **attributes):
    def plant(_, node):
        node.op_type = op
        del node.attribute[:]
        node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())

    return plant


def weight(position, change):
    def plant(graph, node):
        tensor = next(t for t in graph.graph.initializer if t.name == node.input[position])
        values = numpy_helper.to_array(tensor).copy()
        copy = numpy_helper.from_array(change(values).astype(values.dtype), f"{tensor.name}_planted")
        graph.graph.initializer.append(copy)
        node.input[position] = copy.name

    return plant


def swap(_, node):
    node.input[0], node.input[1] = node.input[1], node.input[0]


def one_off(values):
    values.flat[values.size // 2] += 0.2
    return values


def two_rows_swapped(values):
    values[[0, 1]] = values[[1, 0]]
    return values


def gates_swapped(values):
    """Input and output gate of both directions: [directions, 4 x hidden, inputs]."""
    hidden = values.shape[1] // 4
    values[:, : 2 * hidden] = np.concatenate([values[:, hidden : 2 * hidden], values[:, :hidden]], axis=1)
    return values


ENCODER = "layers.1.self_attn"
FAULTS = {
    "cnn-one-weight": ("cnn", "Conv", "second", weight(1, one_off), "second", "cnn: difference"),
    "cnn-padding-off-by-one": ("cnn", "Conv", "second", attribute("pads", [0, 0, 2, 2]), "second", "cnn: difference"),
    "cnn-bias-lost": ("cnn", "Conv", "second", weight(2, np.zeros_like), "second", "cnn: difference"),
    "cnn-folded-norm": ("cnn", "Conv", "first.1", weight(1, one_off), "first.1", None),
    "cnn-leaky": ("cnn", "Relu", "first.2", replace("LeakyRelu", alpha=0.1), "first.2", None),
    "cnn-nan": ("cnn", "Abs", "", replace("Identity"), "", "cnn: root"),
    "cnn-average-pool": (
        "cnn",
        "MaxPool",
        "pool",
        replace("AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
        "pool",
        "cnn: pool",
    ),
    "cnn-two-channels-swapped": ("cnn", "Gemm", "head", weight(1, two_rows_swapped), "head", None),
    "cnn-softmax-axis": ("cnn", "Softmax", "", attribute("axis", 0), "", "cnn: answer"),
    "cnn-argmin": ("cnn", "ArgMax", "", replace("ArgMin", axis=-1, keepdims=0), "", "cnn: answer"),
    "unet-transposed-weight": ("unet", "ConvTranspose", "up", weight(1, one_off), "up", None),
    "unet-stride-padding": ("unet", "Conv", "bottom", attribute("pads", [0, 0, 1, 1]), "bottom", None),
    "unet-join-swapped": ("unet", "Concat", "", swap, "", "unet: join"),
    "unet-sigmoid": ("unet", "Sigmoid", "", replace("HardSigmoid"), "", "unet: mask"),
    "encoder-epsilon": ("encoder", "LayerNormalization", "layers.1.norm2", attribute("epsilon", 1e-2), None, None),
    "encoder-softmax-axis": ("encoder", "Softmax", ENCODER, attribute("axis", -2), ENCODER, "encoder: layer"),
    "encoder-gelu-tanh": (
        "encoder",
        "Gelu",
        "layers.0",
        attribute("approximate", "tanh"),
        "layers.0",
        "encoder: layer",
    ),
    "encoder-token": ("encoder", "Gather", "tokens", weight(0, one_off), "tokens", None),
    "encoder-scale": ("encoder", "Mul", ENCODER, weight(1, lambda values: values * 1.1), ENCODER, "encoder: layer"),
    "encoder-feed-forward": ("encoder", "MatMul", "layers.0.linear1", weight(1, one_off), "layers.0.linear1", None),
    "lstm-recurrence": ("lstm", "LSTM", "lstm", weight(2, one_off), "lstm", None),
    "lstm-gates-swapped": ("lstm", "LSTM", "lstm", weight(1, gates_swapped), "lstm", None),
    "lstm-rounds": ("lstm", "Floor", "", replace("Round"), "", "lstm: bucket"),
    "lstm-clip": ("lstm", "Clip", "", weight(2, lambda values: values - 6), "", "lstm: bucket"),
    "lstm-branches-swapped": ("lstm", "Where", "", lambda _, node: swap_last(node), "", "lstm: leak"),
    "lstm-reduce": ("lstm", "ReduceMax", "", replace("ReduceMin", keepdims=0), "", "lstm: answer"),
}


def swap_last(node):
    node.input[1], node.input[2] = node.input[2], node.input[1]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named(traced, fault):
    network, op, module, plant, named, marker = FAULTS[fault]
    case = traced(network)
    graph = case.graph()
    node = case.node(graph, op, module)
    plant(graph, node)
    answer = blame(case.reference, graph, case.inputs, sidecar=case.sidecar)
    assert answer.verdict is Verdict.DIFFERS
    spot = answer.culprit.spot
    assert (spot.module, spot.node) == (module if named is None else named, node.name)
    if marker is not None:
        assert spot.source == line(marker)
    assert spot.source.startswith("networks.py:")
    assert spot.op == node.op_type
    assert spot.changed
    assert spot.local > 10 * spot.tolerance
    assert answer.culprit.share > 0.9
    assert answer.others == ()


@pytest.mark.parametrize("network", ["cnn", "unet", "encoder", "lstm"])
def test_a_clean_export_is_not_accused(traced, network):
    case = traced(network)
    answer = blame(case.reference, case.graph(), case.inputs, sidecar=case.sidecar)
    assert (answer.verdict, answer.culprit, answer.others) == (Verdict.SAME, None, ())
    assert answer.error < 1e-5
    assert answer.harmless == ()
    assert answer.paired.method == "identity"


def test_a_difference_that_no_output_notices_is_harmless(traced):
    case = traced("cnn")
    graph = case.graph()
    swap(graph, node := case.node(graph, "Sub", ""))  # its absolute value is taken next
    answer = blame(case.reference, graph, case.inputs, sidecar=case.sidecar)
    assert answer.verdict is Verdict.SAME
    assert [spot.node for spot in answer.harmless] == [node.name]
