"""How sure are we of a metric? One-sided confidence bounds by resampling rows.

The bounds are percentiles of the bootstrap distribution (Efron & Tibshirani, An Introduction to the Bootstrap, 1993,
chapter 13): rows are drawn with replacement, the metric is computed anew, and the alpha and 1 - alpha quantiles of the
results bound the true value from below and from above, each with confidence 1 - alpha.

**The floor.** A sample that shows no error at all looks the same in every resample: the percentile interval collapses
to a point and claims certainty, whether it has 10 rows or 10,000. But n rows without a failure cannot exclude that a
share of up to 1 - alpha ** (1 / n) of all rows fails, the exact one-sided bound of Clopper and Pearson (Biometrika 26,
1934, 404-413) for zero failures; for alpha = 0.05 it is about 3 / n, the "rule of three" (Hanley & Lippman-Hand, JAMA
249, 1983, 1743-1745). A metric in [0, 1] loses at most that share when those rows go wholly wrong, so each bound is
kept at least that far from the observed value. A metric outside [0, 1] has no such scale, and nothing is added to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric with its one-sided confidence bounds.

    Attributes:
        observed: On the rows as they are.
        low: The true value is at least this, with the confidence asked for.
        high: The true value is at most this, with the confidence asked for.
        rows: How many rows the evidence has.
    """

    observed: float
    low: float
    high: float
    rows: int


def failure_floor(rows: int, confidence: float) -> float:
    """The largest failure share that `rows` rows without a failure cannot exclude: 1 - alpha ** (1 / rows)."""
    return 1.0 - (1.0 - confidence) ** (1.0 / rows) if rows else 1.0


def estimate(
    metrics: Callable[[np.ndarray], dict[str, float]],
    *,
    rows: int,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Bound every metric that `metrics` gives.

    Args:
        metrics: Takes row numbers (int64, possibly repeated, at least one) and gives metrics by name. It sees
            `arange(rows)` first. A resample it gives NaN for is left out of the quantiles; if all are, bounds are NaN.
        rows: Number of rows; at least 1.
        confidence: Of each one-sided bound, in (0, 1).
        resamples: How often rows are drawn.
        seed: Of the drawing; the same seed gives the same bounds.

    Raises:
        ValueError: no rows, or a confidence outside (0, 1).
    """
    observed, samples = _resample(metrics, rows, confidence, resamples, seed)
    floor = failure_floor(rows, confidence)
    bounded = {name: _within_unit(value, samples[name]) for name, value in observed.items()}
    return {
        name: _bound(value, samples[name], rows, confidence, floor if bounded[name] else 0.0, limits=(0.0, 1.0))
        for name, value in observed.items()
    }


def estimate_drop(
    before: Callable[[np.ndarray], dict[str, float]],
    after: Callable[[np.ndarray], dict[str, float]],
    *,
    rows: int,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Bound how far each metric drops from `before` to `after` (positive: `after` is worse), for larger-is-better ones.

    Paired: each resample draws the same rows for both, so that what is hard about a row cancels and the bound is far
    tighter than the difference of two separate ones. Arguments and errors as for `estimate`; metrics that only one
    side gives are left out.
    """
    values: list[tuple[dict[str, float], dict[str, float]]] = []

    def drop(chosen: np.ndarray) -> dict[str, float]:
        first, second = before(chosen), after(chosen)
        values.append((first, second))
        return {name: first[name] - second[name] for name in first if name in second}

    observed, samples = _resample(drop, rows, confidence, resamples, seed)
    floor = failure_floor(rows, confidence)
    bounded = {
        name: all(_within_unit(side[name], np.empty(0)) for pair in values for side in pair if name in side)
        for name in observed
    }
    return {
        name: _bound(value, samples[name], rows, confidence, floor if bounded[name] else 0.0, limits=(-1.0, 1.0))
        for name, value in observed.items()
    }


def _resample(
    metrics: Callable[[np.ndarray], dict[str, float]], rows: int, confidence: float, resamples: int, seed: int
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    if rows < 1:
        raise ValueError("an estimate needs at least one row")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    observed = metrics(np.arange(rows))
    random = np.random.default_rng(seed)
    samples = {name: np.full(resamples, np.nan) for name in observed}
    for index in range(resamples):
        for name, value in metrics(random.integers(0, rows, rows)).items():
            if name in samples:
                samples[name][index] = value
    return observed, samples


def _within_unit(observed: float, samples: np.ndarray) -> bool:
    finite = samples[~np.isnan(samples)]
    return bool(0.0 <= observed <= 1.0 and np.all((finite >= 0.0) & (finite <= 1.0)))


def _bound(
    observed: float, samples: np.ndarray, rows: int, confidence: float, floor: float, *, limits: tuple[float, float]
) -> Estimate:
    finite = samples[~np.isnan(samples)]
    if np.isnan(observed) or not len(finite):
        return Estimate(observed, float("nan"), float("nan"), rows)
    low, high = (float(value) for value in np.quantile(finite, [1.0 - confidence, confidence]))
    # The observed value itself always lies between the bounds, also where the bootstrap is biased.
    low, high = min(low, observed - floor), max(high, observed + floor)
    if floor:
        low, high = max(low, limits[0]), min(high, limits[1])
    return Estimate(observed, low, high, rows)
