"""Decision flips: how often the answer a user acts on is another one, however small the numerical error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.tensors.dtypes import is_floating

if TYPE_CHECKING:
    from collections.abc import Mapping

SCORE_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class FlipReport:
    """How many rows are decided differently.

    Attributes:
        flipped: Rows in which at least one output's decision differs.
        rows: Rows compared.
        where: The output with most flips; empty where there is none.
    """

    flipped: int
    rows: int
    where: str = ""

    @property
    def share(self) -> float:
        """Flipped rows over rows; NaN without rows, which no threshold accepts."""
        return self.flipped / self.rows if self.rows else float("nan")


def count_flips(
    expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray], *, threshold: float = SCORE_THRESHOLD
) -> FlipReport:
    """Compare decisions row by row (the first axis).

    An output's decision is, for floats: the index of the largest entry on the last axis where that axis is longer than
    one, else whether the value is above `threshold`; for integers, booleans and strings: the value itself. An output
    with more axes than two is decided at each place; one differing place flips the row. A NaN flips its row unless
    both sides have it there.

    Raises:
        ValueError: names or shapes differ, so that rows cannot be told apart.
    """
    if expected.keys() != actual.keys():
        raise ValueError(f"outputs differ: {sorted(expected)} and {sorted(actual)}")
    flipped: np.ndarray | None = None
    where, most = "", 0
    for name, wanted in expected.items():
        got = actual[name]
        if wanted.shape != got.shape or not wanted.ndim:
            raise ValueError(f"{name}: shapes {wanted.shape} and {got.shape} have no common rows")
        places = _differs(wanted, got, threshold)
        differs = np.asarray(places.any(axis=tuple(range(1, places.ndim))))
        flipped = differs if flipped is None else np.asarray(flipped | differs)
        if differs.sum() > most:
            most, where = int(differs.sum()), name
    return FlipReport(0, 0) if flipped is None else FlipReport(int(flipped.sum()), len(flipped), where)


def _differs(wanted: np.ndarray, got: np.ndarray, threshold: float) -> np.ndarray:
    if not is_floating(wanted.dtype) or not is_floating(got.dtype) or "c" in {wanted.dtype.kind, got.dtype.kind}:
        return np.asarray(wanted != got)
    a, b = wanted.astype(np.float64), got.astype(np.float64)
    if a.size == 0:
        return np.zeros((len(a), 0), dtype=bool)
    broken = np.isnan(a) != np.isnan(b)
    if a.ndim < 2 or a.shape[-1] == 1:
        return np.asarray(((a > threshold) != (b > threshold)) | broken)
    # numpy's argmax takes the first of equal entries, on both sides alike, and counts NaN as the largest.
    return np.asarray((a.argmax(axis=-1) != b.argmax(axis=-1)) | broken.any(axis=-1))
