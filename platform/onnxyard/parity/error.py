"""How far two sets of outputs are apart."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.tensors.dtypes import is_floating

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """The distance between expected and actual outputs, over all of them.

    Every figure is NaN or infinite rather than small where the two cannot be compared: a check with `<=` then fails.

    Attributes:
        max_abs: Largest absolute difference; infinite where names, shapes, NaN positions, infinities or strings differ.
        mean_abs: Mean absolute difference.
        max_rel: Largest absolute difference relative to the expected value's size (both zero: 0).
        snr_db: Signal-to-noise ratio 10 log10(sum expected^2 / sum difference^2) in dB; infinite without noise.
        where: The output that `max_abs` was seen in; empty where there is no difference.
    """

    max_abs: float
    mean_abs: float
    max_rel: float
    snr_db: float
    where: str = ""


NOT_COMPARABLE = ErrorReport(math.inf, math.inf, math.inf, -math.inf)
"""Stands for a comparison that could not be made at all; no threshold accepts it."""


def compare(expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray]) -> ErrorReport:
    """Compare outputs by name, in float64.

    NaN equals NaN and an infinity the same infinity at the same place (a detector may pad with them); anything else
    that is not finite is an infinite error. Strings are equal or infinitely apart. Empty arrays of one shape are equal.
    """
    if expected.keys() != actual.keys():
        different = sorted(expected.keys() ^ actual.keys())
        return _apart(different[0] if different else "")
    worst, worst_rel, total, count, signal, noise, where = 0.0, 0.0, 0.0, 0, 0.0, 0.0, ""
    for name, wanted in expected.items():
        got = actual[name]
        if wanted.shape != got.shape or not (_numeric(wanted) and _numeric(got)):
            if wanted.shape != got.shape or not np.array_equal(wanted, got):
                return _apart(name)
            continue
        difference, size = _difference(wanted, got)
        largest = float(difference.max(initial=0.0))
        if largest > worst:
            worst, where = largest, name
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            relative = np.where(difference == 0.0, 0.0, difference / size)
            noise += float(np.square(difference).sum())
            signal += float(np.square(size).sum())
        worst_rel = max(worst_rel, float(relative.max(initial=0.0)))
        total += float(difference.sum())
        count += difference.size
    return ErrorReport(worst, total / count if count else 0.0, worst_rel, _snr(signal, noise), where)


def _difference(wanted: np.ndarray, got: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Absolute differences and the expected values' sizes, both float64; places that agree in NaN or infinity are 0."""
    kind = np.complex128 if "c" in {wanted.dtype.kind, got.dtype.kind} else np.float64
    a, b = wanted.astype(kind), got.astype(kind)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(a - b)
    difference = np.where(same, 0.0, np.where(np.isfinite(difference), difference, np.inf))
    size = np.abs(a)
    return difference, np.where(np.isfinite(size), size, 0.0)


def _numeric(values: np.ndarray) -> bool:
    return values.dtype.kind in "biu" or is_floating(values.dtype)


def _snr(signal: float, noise: float) -> float:
    if noise == 0.0:
        return math.inf
    if signal == 0.0 or not math.isfinite(noise):
        return -math.inf
    return 10.0 * (math.log10(signal) - math.log10(noise)) if math.isfinite(signal) else math.nan


def _apart(name: str) -> ErrorReport:
    return replace(NOT_COMPARABLE, where=name)
