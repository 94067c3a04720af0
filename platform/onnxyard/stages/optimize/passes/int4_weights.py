"""Weights in 4 bits, by blocks: a matrix product reads an eighth of the memory, and computes in float."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from onnxruntime.quantization import QuantFormat
from onnxruntime.quantization.onnx_model import ONNXModel

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.saving import save_model
from onnxyard.stages.optimize.passes.calibration import first_rows
from onnxyard.stages.optimize.passes.extra import of_extra
from onnxyard.stages.optimize.passes.model_file import MODEL
from onnxyard.stages.optimize.passes.qdq_graph import NOTHING_QUANTIZED
from onnxyard.stages.optimize.passes.silence import silence
from onnxyard.stages.optimize.passes.transformation import Transformed
from onnxyard.stages.optimize.passes.typed_graph import load_typed, raised_to, takes_any_batch

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

    from onnxyard.stages.optimize.passes.transformation import Materials

_INT4_OPSET = 21
"""The first whose DequantizeLinear takes 4-bit integers and blocks."""


@dataclass(frozen=True, slots=True)
class QuantizeWeightsInt4:
    """Round the constant matrices of matrix products to 4 bits, one scale for each block of a column.

    Attributes:
        form: `ort`: `com.microsoft::MatMulNBits`. `standard`: DequantizeLinear of opset 21, which ONNX Runtime turns
            into the former when it loads.
        block: Values that share a scale; a power of two from 16 on.
        symmetric: Without a zero point.
    """

    form: Literal["ort", "standard"] = "ort"
    block: int = 32
    symmetric: bool = True

    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "onnx-ir")
    calibrates: ClassVar[bool] = True

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:
        """See `Pass`. Raises UnsupportedModelError also where no node was quantized."""
        with of_extra("optimize"):
            from onnxruntime.quantization.matmul_nbits_quantizer import (  # noqa: PLC0415 - imports onnx_ir
                DefaultWeightOnlyQuantConfig,
                MatMulNBitsQuantizer,
            )
        model = load_typed(source)
        if self.form == "standard":
            rows = first_rows(materials.calibration(), 2, cut=takes_any_batch(model))
            model = raised_to(model, _INT4_OPSET, rows)
        graph = ONNXModel(model)
        graph.replace_gemm_with_matmul()  # the quantizer passes Gemm over without a word
        products = sum(node.op_type == "MatMul" for node in model.graph.node)
        with silence():
            quantizer = MatMulNBitsQuantizer(
                model,
                algo_config=DefaultWeightOnlyQuantConfig(
                    block_size=self.block,
                    is_symmetric=self.symmetric,
                    quant_format=QuantFormat.QOperator if self.form == "ort" else QuantFormat.QDQ,
                    op_types_to_quantize=("MatMul",),
                ),
                nodes_to_exclude=self._ragged(model),
            )
            quantizer.process()
        made = quantizer.model.model
        done = _quantized(made)
        if not done:
            raise UnsupportedModelError(NOTHING_QUANTIZED)
        save_model(made, folder / MODEL)
        return Transformed(
            folder / MODEL,
            changed=True,
            facts={"quantized": f"{done} of {products} matrix products: weights in 4 bits, blocks of {self.block}"},
        )

    def _ragged(self, model: onnx.ModelProto) -> list[str]:
        """Products whose weights do not divide into blocks: not every runtime reads those in the standard's form."""
        if self.form == "ort":
            return []
        rows = {tensor.name: tensor.dims[-2] for tensor in model.graph.initializer if len(tensor.dims) > 1}
        return [
            node.name
            for node in model.graph.node
            if node.op_type == "MatMul" and rows.get(node.input[1], 0) % self.block
        ]


def _quantized(model: onnx.ModelProto) -> int:
    dequantized = {name for node in model.graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    return sum(
        node.op_type == "MatMulNBits" or (node.op_type == "MatMul" and node.input[1] in dequantized)
        for node in model.graph.node
    )
