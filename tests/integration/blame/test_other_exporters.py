"""Graphs that torch's older exporter made, or that ONNX Runtime's optimizer saved: other names, and fused operators."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from networks import Traced, images
from onnx import numpy_helper
from torch import nn

from onnxyard.diagnosis.blame import Verdict, blame


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6))
        self.head = nn.Linear(6, 4)

    def forward(self, image):
        features = self.stem(image)
        return self.head(torch.relu(self.block(features) + features).mean((2, 3)))


class Layer(nn.Module):
    """Attention and a feed-forward net of primitive operators, which opset 13 has."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(16, 48)
        self.out = nn.Linear(16, 16)
        self.norms = nn.ModuleList([nn.LayerNorm(16), nn.LayerNorm(16)])
        self.feed = nn.Sequential(nn.Linear(16, 24), nn.GELU(), nn.Linear(24, 16))

    def forward(self, hidden):
        query, key, value = (
            part.unflatten(-1, (2, 8)).transpose(1, 2) for part in self.qkv(self.norms[0](hidden)).chunk(3, -1)
        )
        weights = torch.softmax(query @ key.transpose(-1, -2) / 8**0.5, -1)
        hidden = hidden + self.out((weights @ value).transpose(1, 2).flatten(2))
        return hidden + self.feed(self.norms[1](hidden))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(20, 16)
        self.layers = nn.Sequential(Layer(), Layer())
        self.head = nn.Linear(16, 3)

    def forward(self, ids):
        return self.head(self.layers(self.tokens(ids)).mean(1))


NETWORKS = {
    "residual": lambda: (Residual(), images(3, 8)),
    "transformer": lambda: (Transformer(), {"ids": np.random.default_rng(1).integers(0, 20, (6, 7))}),
}


class Subject:
    """A network as its module, as torch's older exporter writes it, and as ONNX Runtime fuses and saves that."""

    def __init__(self, name, folder):
        module, self.inputs = NETWORKS[name]()
        self.reference = Traced.of(module, self.inputs, ("scores",)).reference
        self.file = folder / f"{name}.onnx"
        fused = folder / f"{name}-fused.onnx"
        legacy = self._exported(module, folder / f"{name}-legacy.onnx")
        # Batch norms and transposed weights are left to ONNX Runtime.
        unfolded = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(fused)
        ort.InferenceSession(self._exported(module, self.file, **unfolded), options, providers=["CPUExecutionProvider"])
        self.graphs = {"legacy": onnx.load(legacy), "fused": onnx.load(fused)}

    def _exported(self, module, file, **asked):
        (key,) = self.inputs
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)  # torch's, of this very exporter
            torch.onnx.export(
                module,
                (torch.from_numpy(self.inputs[key]),),
                file,
                dynamo=False,
                opset_version=13,
                input_names=[key],
                output_names=["scores"],
                dynamic_axes={key: {0: "batch"}, "scores": {0: "batch"}},
                **asked,
            )
        return file

    def planted(self, kind, name):
        """A copy with one weight of the node of this name changed."""
        graph = onnx.ModelProto()
        graph.CopyFrom(self.graphs[kind])
        node = next(each for each in graph.graph.node if each.name == name)
        weight = next(each for each in graph.graph.initializer if each.name in node.input)
        values = numpy_helper.to_array(weight).copy()
        values.flat[values.size // 2] += 0.5
        weight.CopyFrom(numpy_helper.from_array(values, weight.name))
        return graph


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    return cache(lambda name: Subject(name, tmp_path_factory.mktemp(name)))


@pytest.mark.parametrize(
    ("network", "kind", "node"),
    [
        ("residual", "legacy", "/stem/stem.0/Conv"),
        ("residual", "fused", "/block/block.0/Conv"),
        ("transformer", "legacy", "/layers/layers.0/qkv/MatMul"),
        ("transformer", "legacy", "/layers/layers.0/out/Add"),
        ("transformer", "fused", "/layers/layers.1/feed/feed.2/Add"),
    ],
)
def test_a_changed_weight_is_named_in_a_graph_of_another_exporter(subject, network, kind, node):
    one = subject(network)
    found = blame(one.reference, one.planted(kind, node), one.inputs)
    assert found.paired.pairs >= 0.5 * min(found.paired.places, found.paired.tensors)
    assert (found.verdict, found.culprit.spot.node) == (Verdict.DIFFERS, node)


@pytest.mark.parametrize(
    ("network", "node"), [("residual", "/block/block.0/Conv"), ("transformer", "/layers/layers.0/out/Add")]
)
def test_an_optimized_file_is_judged_by_the_file_it_was_made_of(subject, network, node):
    one = subject(network)
    assert blame(one.file, one.graphs["fused"], one.inputs).verdict is Verdict.SAME
    found = blame(one.file, one.planted("fused", node), one.inputs)
    assert (found.verdict, found.culprit.spot.node) == (Verdict.DIFFERS, node)


@pytest.mark.parametrize("kind", ["legacy", "fused"])
@pytest.mark.parametrize("network", list(NETWORKS))
def test_a_graph_of_another_exporter_is_not_accused(subject, network, kind):
    one = subject(network)
    found = blame(one.reference, one.graphs[kind], one.inputs)
    assert (found.verdict, found.culprit) == (Verdict.SAME, None)
