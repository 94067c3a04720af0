"""Divergences planted into right graphs, and whether blame names the module and the line of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from benchmarks.export.case import FOLDER
from benchmarks.export.measuring import asked_of, silence
from onnxyard.diagnosis.blame import TorchSource, Verdict, blame
from onnxyard.diagnosis.blame.traced import Traced
from onnxyard.diagnosis.proving import prove
from onnxyard.sources.source import MODEL_FILE
from onnxyard.sources.torch.exporting import ways
from onnxyard.sources.torch.reference import TorchModel
from onnxyard.sources.torch.tree import SourceTree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.export.case import Case

PER_CASE = 3
SCALE = 1.05
"""What a planted tensor is multiplied by."""
PLANTED_IN = (
    "resize/bilinear-antialias-odd",
    "sampling/affine-grid",
    "attention/four-axes",
    "attention/encoder-exported-at-batch-1",
    "recurrent/gru-both-ways",
    "indexing/einsum-ellipsis",
    "statistics/variances",
    "linear-algebra/gaussian-log-density",
    "spectral/rfft-magnitude",
    "control/where",
    "networks/u-net-odd-size",
    "networks/transposed-convolution",
    "networks/text-classifier",
    "networks/temporal-convolution",
    "networks/graph-convolution",
)


@dataclass(frozen=True)
class Planted:
    """One divergence.

    Attributes:
        case: Where it was planted.
        node: The node whose output was scaled.
        told: Module and line that blame named.
        right: Module and line of the node.
        noticed: Whether an output shows it at all.
    """

    case: str
    node: str
    told: tuple[str, str]
    right: tuple[str, str]
    noticed: bool

    def words(self) -> str:
        """One line for the terminal."""
        if not self.noticed:
            return f"{self.case}: a divergence at {self.node} shows at no output"
        return f"{self.case}: {self.node} is {' '.join(self.right)}, blame says {' '.join(self.told)}"

    @property
    def named(self) -> bool:
        """Whether blame names the place, and keeps still where there is nothing to see."""
        return self.told == (self.right if self.noticed else ("", ""))


def plant(case: Case) -> Iterator[Planted]:
    """Plant a few divergences into the case's graph, one at a time, spread over the graph."""
    module, asked, source = case.module(), asked_of(case), SourceTree((FOLDER,))
    with TemporaryDirectory() as folder, silence():
        reference = TorchModel(module, case.outputs)
        expected = reference.run(asked.inputs)
        proven = prove(ways(module, asked, source), Path(folder) / "model", asked, expected)
        model = onnx.load(Path(folder) / "model" / MODEL_FILE)
        traced = Traced(
            TorchSource(module, case.outputs, case.axes, case.translations, source),
            asked.inputs,
            case.outputs,
            opset=20,
        )
        for node in _chosen(model, proven.exported.sidecar):
            wrong = _scaled(model, node)
            told = blame(traced, wrong, asked.inputs, sidecar=proven.exported.sidecar)
            spot = told.culprit.spot if told.culprit else None
            origin = _origins(proven.exported.sidecar)[node]
            yield Planted(
                case.name,
                node,
                (spot.module, spot.source) if spot else ("", ""),
                (origin["module"], origin["source"]),
                noticed=told.verdict is Verdict.DIFFERS,
            )


def _origins(sidecar: Mapping[str, object]) -> Mapping[str, Mapping[str, str]]:
    tensors = sidecar["tensors"]
    assert isinstance(tensors, dict)  # the sidecar's format
    return tensors


def _chosen(model: onnx.ModelProto, sidecar: Mapping[str, object]) -> list[str]:
    """Float tensors whose line is known, spread evenly over the graph."""
    known = {
        value.name: value.type.tensor_type.elem_type for value in shape_inference.infer_shapes(model).graph.value_info
    }
    known |= {value.name: value.type.tensor_type.elem_type for value in model.graph.output}
    origins = _origins(sidecar)
    possible = [
        name
        for node in model.graph.node
        for name in node.output[:1]
        if known.get(name) == TensorProto.FLOAT and origins.get(name, {}).get("source")
    ]
    return (
        [possible[at] for at in sorted({*np.linspace(0, len(possible) - 1, PER_CASE).astype(int)})] if possible else []
    )


def _scaled(model: onnx.ModelProto, tensor: str) -> onnx.ModelProto:
    """A copy of the graph in which one tensor comes out a twentieth too large."""
    wrong = onnx.ModelProto()
    wrong.CopyFrom(model)
    at = next(number for number, node in enumerate(wrong.graph.node) if tensor in node.output)
    maker = wrong.graph.node[at]
    maker.output[list(maker.output).index(tensor)] = f"{tensor}_right"
    wrong.graph.initializer.append(numpy_helper.from_array(np.float32(SCALE), "planted_scale"))
    node = helper.make_node("Mul", [f"{tensor}_right", "planted_scale"], [tensor], name="planted")
    wrong.graph.node.insert(at + 1, node)
    return wrong
