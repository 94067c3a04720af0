"""Dynamic int8: weights ahead of time, activations at each call. Helps matrix products, harms convolutions."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from onnxruntime.quantization import QuantType, quantize_dynamic

from onnxyard.stages.optimize.recipes.quantization import check_quantized, prepared, quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

_MATRIX_PRODUCTS = ["MatMul", "Gemm"]
"""Convolutions are left alone: as ConvInteger they run 30 to 40 times slower than in float32."""


def make_int8_dynamic(
    source: Path,
    folder: Path,
    calibration: Callable[[], Iterator[dict[str, np.ndarray]]],  # noqa: ARG001 - a recipe's shape
) -> Path:
    """Quantize the weights of matrix products to int8, per channel.

    Raises:
        UnsupportedModelError: no node was quantized.
    """
    made = folder / "model.onnx"
    with TemporaryDirectory(dir=folder) as scratch, quiet():
        quantize_dynamic(
            prepared(source, Path(scratch)),
            made,
            op_types_to_quantize=_MATRIX_PRODUCTS,
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
    check_quantized(made, frozenset({"MatMulInteger", "ConvInteger", "DynamicQuantizeLinear"}))
    return made
