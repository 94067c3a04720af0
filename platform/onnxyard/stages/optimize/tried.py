"""What is known of a point that was tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from onnxyard.lifecycle.candidate import Candidate, Latency, Outcome
from onnxyard.measuring.intervals import cpu_ms, percentile, prediction, ratio
from onnxyard.stages.optimize.space import Point

if TYPE_CHECKING:
    from onnxyard.measuring.turns import Turns

BASELINE = "baseline"
"""The baseline's name among the benches that take turns."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A point, the candidate it became, and the evidence.

    Attributes:
        point: What was tried.
        candidate: As known so far.
        file: The model's entry file; None where none was made.
        medians: By batch size: the median of each process that measured it, in milliseconds.
    """

    point: Point
    candidate: Candidate
    file: Path | None
    medians: Mapping[int, tuple[float, ...]] = field(default_factory=dict)

    @property
    def measured(self) -> bool:
        """Whether it came to the end."""
        return self.candidate.outcome is Outcome.MEASURED

    def ended(self, outcome: Outcome, note: str) -> Tried:
        """It went no further."""
        return replace(self, candidate=replace(self.candidate, outcome=outcome, note=note))


def timed(
    candidate: Candidate,
    name: str,
    turns: Turns,
    medians: Mapping[int, tuple[float, ...]],
    weights: Mapping[int, float],
    *,
    share: float,
    seed: int,
) -> Candidate:
    """The candidate with what the turns say of it.

    Args:
        candidate: To be completed.
        name: Its name among the benches.
        turns: In which the baseline took part as `BASELINE`.
        medians: Of each process that measured it, by batch size.
        weights: By batch size.
        share: The percentile of the overall ratio.
        seed: Of the resampling.
    """
    ours, theirs = turns.blocks[name], turns.blocks[BASELINE]
    latencies = []
    for size in weights:
        low, high = prediction(medians[size])
        latencies.append(
            Latency(
                batch_size=size,
                p50_ms=percentile(ours[size], 50),
                low_ms=low,
                high_ms=high,
                p99_ms=percentile(ours[size], 99),
                cpu_ms=cpu_ms(ours[size]),
                calls=turns.calls(name, size),
                ratio=ratio({size: ours[size]}, {size: theirs[size]}, {size: 1.0}, seed=seed),
            )
        )
    return replace(candidate, latencies=tuple(latencies), ratio=ratio(ours, theirs, weights, share=share, seed=seed))
