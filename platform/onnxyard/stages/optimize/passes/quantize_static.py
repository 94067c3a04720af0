"""Static int8: weights ahead of time, activations by ranges measured on calibration rows, as QDQ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from onnxyard.sources.saving import save_model
from onnxyard.stages.optimize.passes.activation_ranges import Method
from onnxyard.stages.optimize.passes.model_file import MODEL
from onnxyard.stages.optimize.passes.qdq_graph import (
    OPERATORS,
    IntegerType,
    QdqStyle,
    Quantizable,
    check_quantized,
    quantized_layers,
    style_facts,
)
from onnxyard.stages.optimize.passes.saturation import int8_products_saturate
from onnxyard.stages.optimize.passes.transformation import Transformed

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.stages.optimize.passes.transformation import Materials


@dataclass(frozen=True, slots=True)
class QuantizeStatic:
    """Quantize all layers, and what lies between them, of a model that `MeasureRanges` has been over.

    B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
    CVPR 2018.

    Attributes:
        method: How the activations' ranges are chosen.
        activations: Their type: `int8` or `uint8`.
        weights: Their type.
        per_channel: One scale for each output channel of a weight.
        reduced: Weights in 7 bits (`int8_products_saturate`).
    """

    method: Method = "minmax"
    activations: IntegerType = "int8"
    weights: IntegerType = "int8"
    per_channel: bool = True
    reduced: bool = field(default_factory=int8_products_saturate)

    packages: ClassVar[tuple[str, ...]] = ("numpy", "onnx", "onnxruntime")
    calibrates: ClassVar[bool] = False

    @property
    def style(self) -> QdqStyle:
        """What the quantizer is told."""
        return QdqStyle(self.method, self.activations, self.weights, self.per_channel, self.reduced, OPERATORS)

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:  # noqa: ARG002 - a pass's shape
        """See `Pass`. Raises UnsupportedModelError also where no layer was quantized."""
        model = Quantizable(source, self.style).quantized()
        done, layers = check_quantized(quantized_layers(model))
        save_model(model, folder / MODEL)
        return Transformed(
            folder / MODEL,
            changed=True,
            facts={"quantized": f"{done} of {layers} layers", **style_facts(self.style)},
        )
