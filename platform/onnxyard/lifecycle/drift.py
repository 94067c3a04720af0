"""Drift: when a window's columns differ from the reference's by more than chance, and by enough to matter."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MINIMUM_ROWS = 500
"""No verdict under this many rows: measured false-alarm rates hold only above it."""
FALSE_DISCOVERY_RATE = 0.05
MINIMUM_EFFECT = 0.1
"""Wasserstein-1 distance over the reference's standard deviation (numbers), total variation distance (categories)."""


class DriftVerdict(StrEnum):
    """What a window says."""

    DRIFT = "drift"
    NO_DRIFT = "no_drift"
    UNDECIDED = "undecided"
    """Fewer rows than a verdict needs."""


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """One column's comparison.

    Attributes:
        column: The column's name.
        test: The test's name, `ks` (two-sample Kolmogorov-Smirnov) or `chi2`.
        p_value: The test's p-value.
        q_value: The p-value adjusted over all columns of the window (Benjamini-Hochberg).
        effect: The effect size; see MINIMUM_EFFECT.
        drifted: Whether both q-value and effect say so.
    """

    column: str
    test: str
    p_value: float
    q_value: float
    effect: float
    drifted: bool


def benjamini_hochberg(p_values: tuple[float, ...]) -> tuple[float, ...]:
    """Adjusted p-values in the order given (Benjamini & Hochberg, 1995, J. R. Stat. Soc. B 57:289-300)."""
    total = len(p_values)
    order = sorted(range(total), key=lambda i: p_values[i], reverse=True)
    adjusted = [1.0] * total
    running = 1.0
    for offset, index in enumerate(order):
        running = min(running, p_values[index] * total / (total - offset))
        adjusted[index] = running
    return tuple(adjusted)
