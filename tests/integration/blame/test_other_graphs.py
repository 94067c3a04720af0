"""Graphs that blame knows less about: renamed, rearranged, by another exporter, of modules that cannot be traced."""

from __future__ import annotations

import math

import networks
import numpy as np
import onnx
import pytest
import torch
from networks import Traced, line
from onnx import helper, numpy_helper
from torch import nn

from graphs import FLOAT, tensor, write
from onnxyard.diagnosis.blame import TorchSource, Verdict, blame
from onnxyard.errors import InvalidRequestError
from onnxyard.runtimes.onnxruntime import OnnxRuntime


def anonymous(graph):
    """The same graph as somebody else would name it, without a word about where it came from."""
    kept = {value.name for value in (*graph.graph.input, *graph.graph.output)}
    names = {}

    def rename(name):
        return name if not name or name in kept else names.setdefault(name, f"t{len(names)}")

    for constant in graph.graph.initializer:
        constant.name = rename(constant.name)
    for node in graph.graph.node:
        node.input[:] = map(rename, node.input)
        node.output[:] = map(rename, node.output)
        node.name = ""
        del node.metadata_props[:]
    del graph.graph.value_info[:]
    return graph


def perturb(graph, op):
    node = next(each for each in graph.graph.node if each.op_type == op)
    weight = next(one for one in graph.graph.initializer if one.name == node.input[1])
    values = numpy_helper.to_array(weight).copy()
    values.flat[3] += 0.3
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    return node.output[0]


@pytest.mark.parametrize(
    ("network", "op", "module"),
    [("cnn", "Conv", "first.1"), ("cnn", "Gemm", "head"), ("unet", "ConvTranspose", "up"), ("lstm", "LSTM", "lstm")],
)
def test_a_graph_without_names_is_paired_by_value(traced, network, op, module):
    case = traced(network)
    clean = blame(case.reference, anonymous(case.graph()), case.inputs)
    assert (clean.verdict, clean.paired.method, clean.harmless) == (Verdict.SAME, "values", ())
    assert clean.paired.pairs >= 0.5 * min(clean.paired.places, clean.paired.tensors)
    graph = anonymous(case.graph())
    planted = perturb(graph, op)
    answer = blame(case.reference, graph, case.inputs)
    spot = answer.culprit.spot
    assert (spot.module, spot.op, spot.tensor) == (module, op, planted if op != "LSTM" else spot.tensor)
    assert "paired by their values" in answer.notes[0]
    assert answer.paired.certainty < 1


def test_channels_last_is_the_same_tensor(tmp_path):
    weight = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    image = np.random.default_rng(1).normal(size=(2, 3, 5, 6)).astype(np.float32)
    ends = [tensor("image", FLOAT, ["batch", 3, 5, 6])], [tensor("scores", FLOAT, ["batch", 4, 5, 6])]

    def channels_first(scale):
        return write(
            tmp_path / f"first{scale}.onnx",
            [
                helper.make_node("Conv", ["image", "w"], ["mixed"]),
                helper.make_node("Tanh", ["mixed"], ["bent"]),
                helper.make_node("Mul", ["bent", "scale"], ["scaled"]),
                helper.make_node("Relu", ["scaled"], ["scores"]),
            ],
            *ends,
            weights={"w": weight[:, :, None, None], "scale": np.float32(scale)},
        )

    last = write(
        tmp_path / "last.onnx",
        [
            helper.make_node("Transpose", ["image"], ["a"], perm=[0, 2, 3, 1]),
            helper.make_node("MatMul", ["a", "w"], ["b"]),
            helper.make_node("Tanh", ["b"], ["c"]),
            helper.make_node("Mul", ["c", "scale"], ["d"]),
            helper.make_node("Relu", ["d"], ["e"]),
            helper.make_node("Transpose", ["e"], ["scores"], perm=[0, 3, 1, 2]),
        ],
        *ends,
        weights={"w": weight.T.copy(), "scale": np.float32(2)},
    )
    same = blame(channels_first(2.0), last, {"image": image})
    assert (same.verdict, same.paired.method, same.paired.pairs) == (Verdict.SAME, "values", 4)
    different = blame(channels_first(2.1), last, {"image": image})
    assert (different.culprit.spot.place, different.culprit.spot.op) == ("scaled", "Mul")


def test_torch_differs_from_its_own_export(traced):
    case = traced("antialiased")
    answer = blame(case.reference, case.graph(), case.inputs, sidecar=case.sidecar)
    spot = answer.culprit.spot
    assert (spot.op, spot.operator, spot.source) == ("Resize", "aten._upsample_bilinear2d_aa.default", line("aa: grow"))
    assert spot.attributes["antialias"] == "1"
    assert spot.changed == ()  # a fresh export is wrong in the same way
    assert spot.error_in < 1e-5
    assert spot.error_out > 0.1
    assert answer.culprit.share > 0.99


def test_two_faults_are_both_named_the_first_one_first(traced):
    case = traced("unet")
    graph = case.graph()
    for op in ("ConvTranspose", "Conv"):
        perturb(graph, op)
    answer = blame(case.reference, graph, case.inputs, sidecar=case.sidecar)
    assert answer.culprit.spot.module == "down"
    assert [one.spot.module for one in answer.others] == ["up"]
    assert answer.culprit.share < 1
    assert answer.rest < 1e-5


def test_a_graph_that_does_not_run_is_blamed_where_it_breaks(traced):
    case = traced("unet")
    graph = case.graph()
    conv = case.node(graph, "Conv", "bottom")
    del conv.attribute[:]
    conv.attribute.extend([helper.make_attribute("strides", [3, 3]), helper.make_attribute("pads", [1, 1, 1, 1])])
    answer = blame(case.reference, graph, case.inputs, sidecar=case.sidecar)
    assert (answer.culprit.spot.module, answer.culprit.spot.node) == ("bottom", conv.name)
    assert answer.error == math.inf
    assert answer.culprit.share == 1
    assert "The graph does not run" in answer.notes[0]


def test_a_node_that_takes_no_other_batch_is_blamed(traced):
    case = traced("cnn")
    graph = case.graph()
    pool = case.node(graph, "MaxPool", "pool")
    graph.graph.initializer.append(numpy_helper.from_array(np.array([2, 8, 5, 5]), "baked"))
    baked = helper.make_node("Reshape", ["pooled", "baked"], [pool.output[0]], name="baked_reshape")
    pool.output[0] = "pooled"
    graph.graph.node.insert(list(graph.graph.node).index(pool) + 1, baked)
    answer = blame(case.reference, graph, case.inputs, sidecar=case.sidecar)
    assert answer.culprit.spot.module == "pool"
    assert "baked_reshape" in answer.culprit.spot.nodes
    assert answer.culprit.spot.error_out == math.inf
    assert answer.document()["culprit"]["error_out"] is None


def test_nan_on_both_sides_is_no_difference():
    case = Traced.of(networks.Undefined(), networks.images(1), ("total",))
    answer = blame(case.reference, case.graph(), case.inputs, sidecar=case.sidecar)
    assert answer.verdict is Verdict.SAME


class Branching(nn.Module):
    """A branch on the data: torch cannot trace it."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 5)
        self.second = nn.Linear(5, 2)

    def forward(self, features):
        hidden = torch.tanh(self.first(features))
        if hidden.sum() > 1e6:
            hidden = -hidden
        return self.second(hidden)


@pytest.mark.parametrize("wrong", [None, "first", "second"])
def test_a_module_that_cannot_be_traced_is_watched_at_its_submodules(tmp_path, wrong):
    torch.manual_seed(0)
    module = Branching().eval()
    weights = {name: value.detach().numpy().copy() for name, value in module.named_parameters()}
    if wrong:
        weights[f"{wrong}.weight"][0, 1] += 0.5
    graph = write(
        tmp_path / "model.onnx",
        [
            helper.make_node("Gemm", ["features", "first.weight", "first.bias"], ["a"], transB=1),
            helper.make_node("Tanh", ["a"], ["b"]),
            helper.make_node("Gemm", ["b", "second.weight", "second.bias"], ["scores"], transB=1),
        ],
        [tensor("features", FLOAT, ["batch", 3])],
        [tensor("scores", FLOAT, ["batch", 2])],
        weights=weights,
    )
    features = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    answer = blame(TorchSource(module), graph, {"features": features})
    assert (answer.culprit.spot.module if answer.culprit else None) == {None: None, "first": "first", "second": ""}[
        wrong
    ]
    if wrong:
        assert answer.culprit.spot.op == "Gemm"


def test_a_model_that_shows_its_outputs_only(tmp_path, traced):
    case = traced("cnn")
    onnx.save(case.graph(), tmp_path / "model.onnx")
    closed = OnnxRuntime.load(tmp_path / "model.onnx", provider="CPUExecutionProvider", threads=1)
    assert blame(closed, case.graph(), case.inputs).verdict is Verdict.SAME
    graph = case.graph()
    perturb(graph, "Conv")
    answer = blame(closed, graph, case.inputs)
    assert answer.verdict is Verdict.DIFFERS
    assert any("shows its outputs only" in note for note in answer.notes)


def test_other_inputs_than_the_graphs_are_refused(traced):
    case = traced("cnn")
    with pytest.raises(InvalidRequestError, match="takes image"):
        blame(case.reference, case.graph(), {"pixels": case.inputs["image"]})
    with pytest.raises(InvalidRequestError, match="is FLOAT; the one at hand is DOUBLE"):
        blame(case.reference, case.graph(), {"image": case.inputs["image"].astype(np.float64)})


def test_many_rows_are_compared_in_batches(traced, monkeypatch):
    case = traced("cnn")
    monkeypatch.setattr("onnxyard.diagnosis.blame.comparison._BYTES", 1 << 16)
    told = []
    answer = blame(case.reference, case.graph(), case.inputs, sidecar=case.sidecar, progress=told.append)
    assert answer.verdict is Verdict.SAME
    assert sum("batch" in each for each in told) > 1
