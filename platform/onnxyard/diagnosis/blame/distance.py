"""How far a tensor is from the one it should be, added up over batches of rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from onnxyard.tensors.dtypes import is_floating, onnx_name

SENTINEL = 1e30
"""From this size on a value stands for infinity: masks are filled with -inf by one side and with the type's smallest
number by the other, and mean the same."""

_ROUNDING = {
    "DOUBLE": 1e-12,
    "FLOAT": 1e-5,  # 84 times float32's epsilon: what a kernel with another order of sums still stays below
    "FLOAT16": 4 * 2.0**-10,
    "BFLOAT16": 4 * 2.0**-7,
}
"""By element type: the relative error of one operator that rounding alone explains. Any other type must be exact."""


def rounding(dtype: np.dtype) -> float:
    """The relative error that rounding explains for one operator with results of this type; 0 for exact types."""
    return _ROUNDING.get(onnx_name(dtype), 0.0)


@dataclass(slots=True)
class Distance:
    """What was seen so far.

    Attributes:
        peak: Largest absolute difference between finite values.
        scale: Largest finite absolute value of the reference.
        square: Sum of the squared differences.
        signal: Sum of the reference's squares.
        apart: Elements that cannot be subtracted and differ: NaN or infinite on one side, or texts.
        elements: Elements compared.
        unlike: Whether shapes differed, or one side was missing.
        exact: Whether the elements are integers, booleans or texts: rounding explains nothing.
    """

    peak: float = 0.0
    scale: float = 0.0
    square: float = 0.0
    signal: float = 0.0
    apart: int = 0
    elements: int = 0
    unlike: bool = False
    exact: bool = False

    def add(self, reference: np.ndarray, actual: np.ndarray | None) -> None:
        """Compare one batch."""
        if actual is None or reference.shape != actual.shape:
            self.unlike = True
            return
        self.elements += reference.size
        self.exact = self.exact or not rounding(reference.dtype)
        if not (_numeric(reference) and _numeric(actual)):
            self.apart += int(np.count_nonzero(reference != actual))
            return
        if self._add_plain(reference, actual):
            return
        wanted, got = _wide(reference), _wide(actual)
        usual, same = _finite(wanted) & _finite(got), _alike(wanted, got)
        with np.errstate(invalid="ignore", over="ignore"):
            difference = np.abs(np.where(usual, wanted, 0) - np.where(usual, got, 0))
            size = np.abs(np.where(_finite(wanted), wanted, 0))
        self.apart += int(np.count_nonzero(~usual & ~same))
        self.peak = max(self.peak, float(difference.max(initial=0.0)))
        self.scale = max(self.scale, float(size.max(initial=0.0)))
        self.square += float(np.square(difference).sum())
        self.signal += float(np.square(size).sum())

    def _add_plain(self, reference: np.ndarray, actual: np.ndarray) -> bool:
        """The same, several times faster, for float32 without anything that is not finite; whether it could be."""
        if not (reference.dtype == actual.dtype == np.float32 and reference.size):
            return False
        with np.errstate(invalid="ignore", over="ignore"):
            size = max(float(reference.max()), -float(reference.min()))
            difference = actual - reference
            peak = max(float(difference.max()), -float(difference.min()))
        if not (size < SENTINEL and peak < SENTINEL):
            return False
        self.peak, self.scale = max(self.peak, peak), max(self.scale, size)
        self.square += _squares(difference)
        self.signal += _squares(reference)
        return True

    @property
    def relative(self) -> float:
        """The largest difference relative to the reference's largest value; infinite where it cannot be compared."""
        if self.unlike or self.apart:
            return math.inf
        if self.peak == 0.0:
            return 0.0
        return self.peak / self.scale if self.scale > 0.0 else math.inf

    @property
    def rms(self) -> float:
        """Root of the mean square difference relative to the reference's own; infinite where it cannot be compared."""
        if self.unlike or self.apart:
            return math.inf
        if self.square == 0.0:
            return 0.0
        return math.sqrt(self.square / self.signal) if self.signal > 0.0 else math.inf


def dtype_of(elem_type: int) -> str:
    """The ONNX name of an element type's number."""
    return str(TensorProto.DataType.Name(elem_type))


def _squares(values: np.ndarray) -> float:
    return float(np.einsum("i,i->", values.ravel(), values.ravel(), dtype=np.float64))


def _numeric(values: np.ndarray) -> bool:
    return values.dtype.kind in "biuc" or is_floating(values.dtype)


def _wide(values: np.ndarray) -> np.ndarray:
    return values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)


def _finite(values: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        finite: np.ndarray = np.abs(values) < SENTINEL
    return finite


def _alike(wanted: np.ndarray, got: np.ndarray) -> np.ndarray:
    """Where both are NaN, or both stand for the same infinity."""
    nan: np.ndarray = np.isnan(wanted) & np.isnan(got)
    if wanted.dtype.kind == "c" or got.dtype.kind == "c":
        return np.asarray(nan | (wanted == got))
    with np.errstate(invalid="ignore"):
        above = (wanted >= SENTINEL) & (got >= SENTINEL)
        below = (wanted <= -SENTINEL) & (got <= -SENTINEL)
    both: np.ndarray = nan | above | below
    return both
