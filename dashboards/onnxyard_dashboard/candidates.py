"""The candidates' table: who comes first, and each one's figures in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnxyard.lifecycle.candidate import Candidate, Outcome
from onnxyard.lifecycle.wording import drop, interval, milliseconds, score, share, size
from onnxyard.stages.optimize.report.marks import is_tie

FOREMOST = 6
"""Rows that are shown before a fold."""
TONES = {Outcome.STOPPED: "warn", Outcome.REFUSED: "", Outcome.FAILED: "bad"}


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate in words.

    Attributes:
        candidate: The candidate.
        pills: Words with the page's tone for each.
        quality: The metric.
        drop: The most that it may lose.
        p50: Milliseconds.
        p50_bounds: The interval of the median; empty where none is known.
        ratio: Of the baseline's latency.
        ratio_bounds: Likewise.
        size: Of its files.
        memory: Its peak.
    """

    candidate: Candidate
    pills: tuple[tuple[str, str], ...]
    quality: str
    drop: str
    p50: str
    p50_bounds: str
    ratio: str
    ratio_bounds: str
    size: str
    memory: str


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates as the page shows them.

    Attributes:
        foremost: The chosen ones and the best others.
        further: The other measured ones.
        unmeasured: Those that were stopped, refused or failed.
    """

    foremost: tuple[Row, ...]
    further: tuple[Row, ...]
    unmeasured: tuple[Row, ...]


def ranking(candidates: tuple[Candidate, ...]) -> Ranking:
    """The chosen ones first, then by what they cost."""
    rows = tuple(_row(candidate) for candidate in sorted(candidates, key=_rank))
    measured = tuple(row for row in rows if row.candidate.outcome is Outcome.MEASURED)
    others = tuple(row for row in rows if row.candidate.outcome is not Outcome.MEASURED)
    return Ranking(measured[:FOREMOST], measured[FOREMOST:], others)


def _rank(candidate: Candidate) -> tuple[bool, int, float]:
    cost = candidate.cost if candidate.cost is not None else candidate.p50_ms
    outcome = list(Outcome).index(candidate.outcome)
    return not candidate.chosen, outcome, math.inf if cost is None or math.isnan(cost) else cost


def _row(candidate: Candidate) -> Row:
    latency = candidate.latencies[0] if candidate.latencies else None
    ratio = candidate.ratio
    return Row(
        candidate=candidate,
        pills=_pills(candidate),
        quality=score(candidate.quality),
        drop=drop(candidate.drop_high),
        p50=milliseconds(candidate.p50_ms),
        p50_bounds="" if latency is None else interval(milliseconds(latency.low_ms), milliseconds(latency.high_ms)),
        ratio=share(None if ratio is None else ratio.value),
        ratio_bounds="" if ratio is None else interval(share(ratio.low), share(ratio.high)),
        size=size(candidate.size_bytes),
        memory=size(candidate.memory_bytes),
    )


def _pills(candidate: Candidate) -> tuple[tuple[str, str], ...]:
    if candidate.outcome is not Outcome.MEASURED:
        return ((candidate.outcome.value, TONES[candidate.outcome]),)
    words = (
        ("chosen", "accent", candidate.chosen),
        ("Pareto", "good", candidate.pareto and not candidate.chosen),
        ("tie", "warn", is_tie(candidate)),
    )
    return tuple((word, tone) for word, tone, holds in words if holds)
