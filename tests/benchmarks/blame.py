"""How long does blame take? A ResNet-18 at 64 px and a six-layer encoder, clean and with random planted faults.

    python tests/benchmarks/blame.py [--rows 32] [--faults 12]

Not a test: seconds belong to the machine that printed them; beside them the processor's, which a busy neighbour does
not stretch. A fault is one weight of one node, drawn at random and
changed by three times the spread of its tensor; it counts as named when blame names that very node. A weight whose
change shows at no output (a tap that only ever meets padding, a channel that ReLU cuts off on every row) is no fault
that anybody could find from there: how many such were drawn, and passed over, is printed beside.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import numpy_helper
from torch import nn

from onnxyard.diagnosis.blame import Blame, TorchSource, blame
from onnxyard.diagnosis.blame.traced import Traced
from onnxyard.runtimes.machine import describe
from onnxyard.sources.sidecar import sidecar, trace_origins
from onnxyard.sources.torch.tree import SourceTree

_SHOWS = 1e-5
"""Of the largest output: ten times what rounding makes of these models."""


class Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU())
        self.two = nn.Sequential(nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out))
        shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.shortcut = shortcut if stride > 1 or channels != out else nn.Identity()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.two(self.one(image)) + self.shortcut(image))


class ResNet18(nn.Module):
    """11 million weights, 64 px."""

    def __init__(self) -> None:
        super().__init__()
        widths = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1)]
        widths += [(128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]
        stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        self.body = nn.Sequential(*stem, *(Block(*each) for each in widths))
        self.head = nn.Linear(512, 1000)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(image).mean((2, 3)))


class Encoder(nn.Module):
    """Six layers of width 384, as MiniLM has them."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(30_000, 384)
        layer = nn.TransformerEncoderLayer(384, 12, 1536, 0.0, "gelu", batch_first=True)
        self.layers = nn.ModuleList(
            [layer, *(type(layer)(384, 12, 1536, 0.0, "gelu", batch_first=True) for _ in range(5))]
        )
        self.head = nn.Linear(384, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden = self.tokens(ids)
        for layer in self.layers:
            hidden = layer(hidden)
        return self.head(hidden.mean(1))


@dataclass
class Subject:
    """A model with its inputs, its graph and what blame is told of it."""

    name: str
    source: TorchSource
    inputs: dict[str, np.ndarray]
    graph: onnx.ModelProto
    document: dict[str, object]

    @classmethod
    def of(cls, name: str, module: nn.Module, inputs: dict[str, np.ndarray]) -> Subject:
        source = TorchSource(module.eval().requires_grad_(requires_grad=False))
        graph = Traced(source, {key: array[:2] for key, array in inputs.items()}, ("scores",), opset=20).fresh
        assert graph is not None
        tree = SourceTree((Path(__file__).resolve().parent,))
        return cls(name, source, inputs, graph, sidecar(graph, trace_origins(graph, tree), {}, exporter="torch"))

    def planted(self, random: np.random.Generator) -> tuple[onnx.ModelProto, onnx.NodeProto]:
        """A copy of the graph with one weight changed, and the node that reads it."""
        graph = onnx.ModelProto()
        graph.CopyFrom(self.graph)
        weights = {each.name: each for each in graph.graph.initializer if len(each.dims) > 1 and each.data_type == 1}
        readers = [node for node in graph.graph.node if weights.keys() & set(node.input) and node.op_type != "Gather"]
        node = readers[random.integers(len(readers))]
        tensor = next(weights[name] for name in node.input if name in weights)
        values = numpy_helper.to_array(tensor).copy()
        values.flat[random.integers(values.size)] += 3 * values.std()
        own = numpy_helper.from_array(values, f"{tensor.name}.planted")
        graph.graph.initializer.append(own)
        node.input[list(node.input).index(tensor.name)] = own.name
        return graph, node

    def shows(self, graph: onnx.ModelProto) -> bool:
        """Whether a graph's outputs differ from the model's own, by ONNX Runtime alone and none of blame's code."""
        right, wrong = (_scores(each, self.inputs) for each in (self.graph, graph))
        return bool(np.abs(wrong - right).max() > _SHOWS * np.abs(right).max())


def _scores(graph: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> np.ndarray:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # that a replaced weight is left over is no news
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, inputs)
    return np.asarray(scores, np.float64)


def timed(subject: Subject, graph: onnx.ModelProto) -> tuple[float, float, Blame]:
    """Seconds on the clock, seconds of the processor, and the answer."""
    clock, processor = time.perf_counter(), time.process_time()
    answer = blame(subject.source, graph, subject.inputs, sidecar=subject.document, name=subject.name)
    return time.perf_counter() - clock, time.process_time() - processor, answer


def main() -> None:
    """Blame each model clean, then with one fault after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=32, help="rows that both sides run on")
    parser.add_argument("--faults", type=int, default=12, help="planted faults per model")
    asked = parser.parse_args()
    out = sys.stdout.write
    heads = ("clean s", "cpu s", "accused", "fault s", "cpu s", "named", "passed")
    out(f"{describe()}\n{'':12} {'nodes':>6} {'rows':>5}" + "".join(f"{head:>9}" for head in heads) + "\n")
    random = np.random.default_rng(0)
    torch.manual_seed(0)
    subjects = (
        Subject.of("ResNet-18", ResNet18(), {"image": random.normal(size=(asked.rows, 3, 64, 64)).astype(np.float32)}),
        Subject.of("encoder", Encoder(), {"ids": random.integers(0, 30_000, (asked.rows, 64))}),
    )
    for subject in subjects:
        clean, clean_cpu, answer = timed(subject, subject.graph)
        accused = int(answer.culprit is not None)
        seconds, cpu, named, passed = [0.0], [0.0], 0, 0
        for _ in range(asked.faults):
            graph, node = subject.planted(random)
            while not subject.shows(graph):
                passed += 1
                graph, node = subject.planted(random)
            clock, processor, found = timed(subject, graph)
            seconds.append(clock)
            cpu.append(processor)
            named += int(found.culprit is not None and found.culprit.spot.node == node.name)
        out(f"{subject.name:12} {len(subject.graph.graph.node):6} {asked.rows:5}")
        out(f"{clean:9.1f}{clean_cpu:9.1f}{accused:9}{max(seconds):9.1f}{max(cpu):9.1f}")
        out(f"{f'{named} of {asked.faults}':>9}{passed:9}\n")


if __name__ == "__main__":
    main()
