"""QDQ graphs: QuantizeLinear and DequantizeLinear around what is to be computed in integers.

https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorData, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import add_infer_metadata

from onnxyard.errors import UnsupportedModelError
from onnxyard.stages.optimize.passes.activation_ranges import Method, noted_ranges
from onnxyard.stages.optimize.passes.silence import silence
from onnxyard.stages.optimize.passes.typed_graph import load_typed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""What nearly all the time is spent in, and what weights belong to: counted, ranked and reported."""

IntegerType = Literal["int8", "uint8", "int16", "uint16"]
TYPES = {
    "int8": QuantType.QInt8,
    "uint8": QuantType.QUInt8,
    "int16": QuantType.QInt16,
    "uint16": QuantType.QUInt16,
}
OPERATORS = LAYERS | {
    *("Add", "AveragePool", "Clip", "Concat", "Flatten", "GlobalAveragePool", "MaxPool", "Pad", "Relu", "Reshape"),
    *("Resize", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"),
}
"""Layers, and what only moves or adds their values: without it, they would be dequantized and quantized in between.

Softmax, normalizations, GELU and the like stay in float: they gain nothing in integers and lose the most.
"""
NOTHING_QUANTIZED = "no node was quantized"

_INFERRED = "onnx.infer"
"""ONNX Runtime's own mark of a graph with inferred shapes."""


@dataclass(frozen=True, slots=True)
class QdqStyle:
    """How a QDQ graph is quantized.

    Attributes:
        method: Which of the measured ranges.
        activations: Their type. Unsigned ones have a zero point; signed ones too, unless symmetric.
        weights: Their type; signed ones are symmetric around zero.
        per_channel: One scale for each output channel of a weight.
        reduced: Weights in 7 bits: the products of U8 and S8 on processors without VNNI are added up in 16 bits, which
            overflow (`int8_products_saturate`).
        operators: Operator types to quantize.
    """

    method: Method
    activations: IntegerType
    weights: IntegerType
    per_channel: bool
    reduced: bool
    operators: frozenset[str]


class Quantizable:
    """A model in float32 whose activations' ranges are known: from it QDQ graphs are made, as many as are wanted.

    Args:
        source: A model that `MeasureRanges` has been over.
        style: How it is quantized.
        options: Further options of ONNX Runtime's quantizer.

    Raises:
        UnsupportedModelError: no ranges were measured, or the model has no layer to quantize.
    """

    def __init__(self, source: Path, style: QdqStyle, options: Mapping[str, object] | None = None) -> None:
        self.model = load_typed(source)
        ranges = noted_ranges(self.model, style.method)
        self._style, self._options = style, dict(options or {})
        self._ranges = TensorsData(
            CalibrationMethod.MinMax,
            {
                name: TensorData(lowest=np.float32(low), highest=np.float32(high))
                for name, (low, high) in ranges.items()
            },
        )
        self.nodes = tuple(
            node.name
            for node in self.model.graph.node
            if node.op_type in style.operators and not node.domain and any(name in ranges for name in node.input)
        )
        operators = {node.name: node.op_type for node in self.model.graph.node}
        self.layers = tuple(name for name in self.nodes if operators[name] in LAYERS)
        if not self.layers:
            raise UnsupportedModelError(NOTHING_QUANTIZED)

    def quantized(self, *, only: Collection[str] | None = None, kept: Collection[str] = ()) -> onnx.ModelProto:
        """A QDQ graph, apart from this one.

        Args:
            only: The nodes to quantize; None for all.
            kept: Those to keep in float.
        """
        wanted = [name for name in self.nodes if (only is None or name in only) and name not in kept]
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        if not wanted:
            return model
        add_infer_metadata(model)
        with silence():
            quantizer = QDQQuantizer(
                model,
                self._style.per_channel,
                self._style.reduced,
                TYPES[self._style.weights],
                TYPES[self._style.activations],
                self._ranges,
                wanted,
                [],
                sorted(self._style.operators),
                {"ForceQuantizeNoInputCheck": False, **self._options},
            )
            quantizer.quantize_model()
        made: onnx.ModelProto = quantizer.model.model
        for entry in [entry for entry in made.metadata_props if entry.key == _INFERRED]:
            made.metadata_props.remove(entry)
        return made

    def beside(self, layers: Collection[str]) -> frozenset[str]:
        """These layers, and the other nodes to quantize that stand directly in front of or behind them."""
        near = [node for node in self.model.graph.node if node.name in layers]
        taken = {name for node in near for name in node.input}
        given = {name for node in near for name in node.output}
        others = set(self.nodes) - set(self.layers)
        return frozenset(layers) | {
            node.name
            for node in self.model.graph.node
            if node.name in others and (taken & set(node.output) or given & set(node.input))
        }


def quantized_layers(model: onnx.ModelProto) -> tuple[int, int]:
    """How many layers compute on dequantized values on both sides, and how many layers there are."""
    layers = [node for node in model.graph.node if node.op_type in LAYERS]
    dequantized = {name for node in model.graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    return sum(all(name in dequantized for name in node.input[:2]) for node in layers), len(layers)


def check_quantized(counted: tuple[int, int]) -> tuple[int, int]:
    """The same again. Raises UnsupportedModelError where no layer was quantized: that is no success."""
    if not counted[0]:
        raise UnsupportedModelError(NOTHING_QUANTIZED)
    return counted


def style_facts(style: QdqStyle) -> dict[str, str]:
    """What a person wants to know of it."""
    facts = {
        "types": f"activations {style.activations}, weights {style.weights}"
        f"{' per channel' if style.per_channel else ''}",
        "ranges": style.method,
    }
    if style.reduced:
        facts["weights' range"] = "7 bits: 8-bit products saturate on this processor, which has no VNNI"
    return facts
