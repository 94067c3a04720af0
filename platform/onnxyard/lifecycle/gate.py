"""A gate: a measured value, the threshold it is held to, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class GateOutcome(StrEnum):
    """What a gate says. Only PASSED lets a version through."""

    PASSED = "passed"
    FAILED = "failed"
    UNDERPOWERED = "underpowered"
    """The evidence is too small to prove the threshold either way."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate's verdict with its evidence.

    Attributes:
        name: As `parity@cpu`, `quality:accuracy@cpu`, `quality-drop:accuracy@cpu`, `latency:p99_ms@cpu`, `size@cpu`.
        observed: The measured value.
        threshold: The bound it is held to.
        outcome: Passed, failed or underpowered.
        unit: As `ms`, `bytes`, or empty for a plain number.
        bound: The confidence bound that was compared, where the value is an estimate; None where it is exact.
        rows: How many rows the evidence has; None where rows mean nothing.
        detail: One sentence a person reads.
    """

    name: str
    observed: float
    threshold: float
    outcome: GateOutcome
    unit: str = ""
    bound: float | None = None
    rows: int | None = None
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether the gate lets the version through."""
        return self.outcome is GateOutcome.PASSED


def judge(value: float, *, at_most: float | None = None, at_least: float | None = None) -> GateOutcome:
    """Hold an exact value to one bound. NaN fails. Exactly one of the bounds must be given (ValueError)."""
    if (at_most is None) == (at_least is None):
        raise ValueError("give exactly one of at_most and at_least")
    holds = value <= at_most if at_most is not None else at_least is not None and value >= at_least
    return GateOutcome.PASSED if holds else GateOutcome.FAILED


def judge_interval(
    low: float, high: float, *, at_most: float | None = None, at_least: float | None = None
) -> GateOutcome:
    """Hold an estimate to one bound: `low` and `high` are its one-sided confidence bounds.

    PASSED where the unfavourable bound still holds the threshold, FAILED where even the favourable one does not
    (or either is NaN), UNDERPOWERED in between: more rows are needed to say.
    """
    if at_least is not None and at_most is None:
        worst, best = judge(low, at_least=at_least), judge(high, at_least=at_least)
    else:
        worst, best = judge(high, at_most=at_most, at_least=at_least), judge(low, at_most=at_most, at_least=at_least)
    if worst is GateOutcome.PASSED and best is GateOutcome.PASSED:
        return GateOutcome.PASSED
    return GateOutcome.UNDERPOWERED if best is GateOutcome.PASSED else GateOutcome.FAILED
