"""Dynamic int8: weights ahead of time, activations at each call. Helps matrix products, harms convolutions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from onnxyard.sources.saving import save_model
from onnxyard.stages.optimize.passes.calibration import first_rows
from onnxyard.stages.optimize.passes.model_file import MODEL
from onnxyard.stages.optimize.passes.qdq_graph import check_quantized
from onnxyard.stages.optimize.passes.saturation import int8_products_saturate
from onnxyard.stages.optimize.passes.silence import silence
from onnxyard.stages.optimize.passes.transformation import Transformed
from onnxyard.stages.optimize.passes.typed_graph import load_typed, raised_to, takes_any_batch

if TYPE_CHECKING:
    from onnxyard.stages.optimize.passes.transformation import Materials

_PRODUCTS = ("Gemm", "LSTM", "MatMul")
"""Convolutions are left alone: as ConvInteger they run 30 to 40 times slower than in float32. Attention too: of opset
23 on, it would become a `QAttention` of other inputs, which no session loads."""
_INTEGER = frozenset({"DynamicQuantizeLSTM", "MatMulInteger"})
_OPSET = 11
"""The first with DynamicQuantizeLinear."""


@dataclass(frozen=True, slots=True)
class QuantizeDynamic:
    """Quantize the weights of matrix products and LSTMs; their activations are quantized by each call's own range.

    Attributes:
        per_channel: One scale for each output channel of a weight.
        reduced: Weights in 7 bits (`int8_products_saturate`).
    """

    per_channel: bool = True
    reduced: bool = field(default_factory=int8_products_saturate)

    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")
    calibrates: ClassVar[bool] = True

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:
        """See `Pass`. Raises UnsupportedModelError also where no node was quantized."""
        model = load_typed(source)
        model = raised_to(model, _OPSET, first_rows(materials.calibration(), 2, cut=takes_any_batch(model)))
        products = sum(node.op_type in _PRODUCTS for node in model.graph.node)
        with TemporaryDirectory() as scratch, silence():
            save_model(model, Path(scratch, MODEL))
            quantize_dynamic(
                Path(scratch, MODEL),
                Path(scratch, "quantized.onnx"),
                op_types_to_quantize=list(_PRODUCTS),
                per_channel=self.per_channel,
                reduce_range=self.reduced,
                weight_type=QuantType.QInt8,
                use_external_data_format=Path(scratch, f"{MODEL}.data").exists(),
                extra_options={"MatMulConstBOnly": True},
            )
            made = onnx.load(Path(scratch, "quantized.onnx"))
        done, _ = check_quantized((sum(node.op_type in _INTEGER for node in made.graph.node), products))
        save_model(made, folder / MODEL)
        facts = {"quantized": f"{done} of {products} matrix products and LSTMs, activations at each call"}
        if self.reduced:
            facts["weights' range"] = "7 bits: 8-bit products saturate on this processor, which has no VNNI"
        return Transformed(folder / MODEL, changed=True, facts=facts)
