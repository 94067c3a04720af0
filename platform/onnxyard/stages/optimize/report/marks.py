"""Candidates that have a place in the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxyard.lifecycle.candidate import Candidate

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Mark:
    """One candidate that has a place in the picture: its median and its quality are known.

    Attributes:
        candidate: The candidate.
        p50_ms: At the target's first batch size.
        quality: Of the metric.
    """

    candidate: Candidate
    p50_ms: float
    quality: float

    @property
    def bounds(self) -> tuple[float, float]:
        """Of the median; the median itself where no interval is known."""
        latency = self.candidate.latencies[0]
        low, high = latency.low_ms, latency.high_ms
        return (low if math.isfinite(low) and low > 0 else self.p50_ms, high if math.isfinite(high) else self.p50_ms)


def marks_of(candidates: Sequence[Candidate]) -> list[Mark]:
    """The candidates with a place; an emulated runtime's has none, for it has no speed."""
    found = []
    for candidate in candidates:
        p50, quality = candidate.p50_ms, candidate.quality
        if p50 is not None and quality is not None and p50 > 0 and math.isfinite(p50) and math.isfinite(quality):
            found.append(Mark(candidate, p50, quality))
    return found


def front_of(marks: Sequence[Mark]) -> list[Mark]:
    """Those of the Pareto front that no other one beats in the picture's own two axes, by latency."""
    best, front = -math.inf, []
    allowed = [mark for mark in marks if mark.candidate.pareto]
    for mark in sorted(allowed, key=lambda mark: (mark.p50_ms, -mark.quality)):
        if mark.quality > best:
            best = mark.quality
            front.append(mark)
    return front


def is_tie(candidate: Candidate) -> bool:
    """Whether it cannot be told apart from the baseline, being another one than that."""
    return candidate.ratio is not None and candidate.ratio.tie and candidate.ratio.low < candidate.ratio.high


def label_of(candidate: Candidate, *, longest: int) -> str:
    """The recipe and the options in at most `longest` characters: a colour or a tooltip tells where it runs."""
    told = " ".join([candidate.recipe, *(f"{name}={value}" for name, value in candidate.setup.options.items())])
    return told if len(told) <= longest else told[: longest - 1] + "\N{HORIZONTAL ELLIPSIS}"
