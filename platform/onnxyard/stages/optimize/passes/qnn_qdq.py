"""QDQ as Qualcomm's NPUs want it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import onnx

from onnxyard.sources.saving import save_model
from onnxyard.stages.optimize.passes.model_file import MODEL
from onnxyard.stages.optimize.passes.qdq_graph import (
    TYPES,
    IntegerType,
    QdqStyle,
    Quantizable,
    check_quantized,
    quantized_layers,
    style_facts,
)
from onnxyard.stages.optimize.passes.silence import silence
from onnxyard.stages.optimize.passes.transformation import Transformed

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.stages.optimize.passes.transformation import Materials


@dataclass(frozen=True, slots=True)
class QuantizeForQnn:
    """Quantize every operator, as the QNN provider wants it: nothing left in float that would go back to the CPU.

    https://onnxruntime.ai/docs/execution-providers/QNN-ExecutionProvider.html

    Attributes:
        activations: `uint8`, or `uint16` where 8 bits are too few. The latter's Q and DQ are ONNX Runtime's own below
            opset 21.
        weights: `uint8`.
    """

    activations: IntegerType = "uint8"
    weights: IntegerType = "uint8"

    packages: ClassVar[tuple[str, ...]] = ("numpy", "onnx", "onnxruntime")
    calibrates: ClassVar[bool] = False

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:  # noqa: ARG002 - a pass's shape
        """See `Pass`. Raises UnsupportedModelError also where no layer was quantized."""
        from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config  # noqa: PLC0415 - this alone

        with silence():
            config = get_qnn_qdq_config(
                onnx.load(source),
                None,
                activation_type=TYPES[self.activations],
                weight_type=TYPES[self.weights],
            )
        style = QdqStyle(
            "minmax",
            self.activations,
            self.weights,
            per_channel=False,
            reduced=False,
            operators=frozenset(config.op_types_to_quantize),
        )
        model = Quantizable(source, style, config.extra_options).quantized()
        done, layers = check_quantized(quantized_layers(model))
        save_model(model, folder / MODEL)
        return Transformed(
            folder / MODEL, changed=True, facts={"quantized": f"{done} of {layers} layers", **style_facts(style)}
        )
