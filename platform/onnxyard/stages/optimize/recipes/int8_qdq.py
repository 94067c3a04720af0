"""Static int8: weights per channel, activations by ranges seen on the calibration split, as QuantizeLinear pairs."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from onnxyard.stages.optimize.recipes.quantization import check_quantized, prepared, quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Hands the quantizer one batch after the other."""

    def __init__(self, batches: Iterator[dict[str, np.ndarray]]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


def make_int8_qdq(source: Path, folder: Path, calibration: Callable[[], Iterator[dict[str, np.ndarray]]]) -> Path:
    """Quantize weights and activations to signed int8, in QDQ form, which every runtime of ours reads.

    Raises:
        UnsupportedModelError: no node was quantized.
    """
    made = folder / "model.onnx"
    with TemporaryDirectory(dir=folder) as scratch, quiet():
        quantize_static(
            prepared(source, Path(scratch)),
            made,
            _Reader(calibration()),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )
    check_quantized(made, frozenset({"QuantizeLinear"}))
    return made
