"""How a range is chosen from the values that were seen: outliers cost every other value resolution."""

from __future__ import annotations

import numpy as np

Range = tuple[float, float]
"""The least and the largest value."""

_BINS = 2048
_LEVELS = 128
"""Magnitudes that a signed 8-bit number tells apart."""
_STRIDE = 16
"""Every 16th clipping is tried: neighbours differ by less than one per cent of the range."""
_EMPTY = 1e-4
"""Counts that stand for none: outliers fall into a last bin that may be empty otherwise, where Q has nothing."""


class Histogram:
    """Counts of a tensor's values in even bins around zero, over a range that doubles when values fall outside."""

    def __init__(self) -> None:
        self._limit = 0.0
        self._counts = np.zeros(2 * _BINS, np.int64)

    def add(self, values: np.ndarray) -> None:
        """Count finite float32 values of any shape."""
        values = values.ravel().astype(np.float64)
        largest = float(np.abs(values).max(initial=0.0))
        self._limit = self._limit or largest or float(np.finfo(np.float32).tiny)
        while largest > self._limit:
            self._double()
        at = (values * (_BINS / self._limit) + _BINS).astype(np.int64)
        self._counts += np.bincount(np.clip(at, 0, 2 * _BINS - 1), minlength=2 * _BINS)

    def _double(self) -> None:
        self._limit *= 2.0
        wider = np.zeros_like(self._counts)
        wider[_BINS // 2 : _BINS + _BINS // 2] = self._counts.reshape(-1, 2).sum(axis=1)
        self._counts = wider

    @property
    def signed(self) -> tuple[np.ndarray, np.ndarray]:
        """Counts [4096] and bin edges [4097] from the least to the largest possible value, even around zero."""
        return self._counts, np.linspace(-self._limit, self._limit, 2 * _BINS + 1)

    @property
    def magnitudes(self) -> tuple[np.ndarray, np.ndarray]:
        """Counts [2048] and bin edges [2049] of the absolute values."""
        return self._counts[_BINS:] + self._counts[_BINS - 1 :: -1], np.linspace(0, self._limit, _BINS + 1)


def percentile_range(histogram: Histogram, percentile: float) -> Range:
    """The range that holds `percentile` per cent of the values, cut evenly at both ends; zero lies in it.

    Exact to one bin, a 2048th of the largest magnitude.
    """
    counts, edges = histogram.signed
    share = np.cumsum(counts) / max(counts.sum(), 1)
    tail = (100.0 - percentile) / 200.0
    low = edges[int(np.searchsorted(share, tail, side="right"))]
    high = edges[min(int(np.searchsorted(share, 1.0 - tail, side="left")) + 1, len(edges) - 1)]
    return min(float(low), 0.0), max(float(high), 0.0)


def entropy_range(histogram: Histogram) -> Range:
    """The clipping that loses the least information, by the Kullback-Leibler divergence; even around zero.

    S. Migacz, "8-bit inference with TensorRT", GTC 2017: for each clipping, the distribution with the outliers counted
    in the last bin is compared with its 128-level quantization. Zeros are left out: behind a ReLU they are half of all
    values, are kept exactly by any scale, and would decide alone.
    """
    counts, edges = histogram.magnitudes
    counts = counts.astype(np.float64)
    counts[0] = min(counts[0], counts[1])
    limit = float(edges[-1])
    if counts[_LEVELS:].any():
        kept = range(_LEVELS, _BINS + 1, _STRIDE)
        limit = float(edges[min(kept, key=lambda bins: (_divergence(counts, bins), -bins))])
    return -limit, limit


def _divergence(counts: np.ndarray, bins: int) -> float:
    """KL(P || Q) in nats."""
    inside = counts[:bins]
    reference = inside.copy()
    reference[-1] += counts[bins:].sum()
    starts = np.arange(_LEVELS) * bins // _LEVELS
    filled = inside > 0
    per_level = np.add.reduceat(inside, starts)
    used = np.add.reduceat(filled.astype(np.float64), starts)
    level = np.repeat(np.arange(_LEVELS), np.diff([*starts, bins]))
    with np.errstate(invalid="ignore", divide="ignore"):
        quantized = np.where(filled, (per_level / used)[level], 0.0)
    p, q = (np.maximum(counts, _EMPTY) for counts in (reference, quantized))
    p, q = p / p.sum(), q / q.sum()
    return float((p * np.log(p / q)).sum())
