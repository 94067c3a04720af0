"""The candidates' scatter: what plotly.js draws, as plain data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from onnxyard.lifecycle.wording import drop, interval, milliseconds, score, share, size
from onnxyard.stages.optimize.report.marks import front_of, is_tie, label_of, marks_of

if TYPE_CHECKING:
    from onnxyard.lifecycle.candidate import Candidate
    from onnxyard.stages.optimize.report.marks import Mark

LONGEST_LABEL = 30


def scatter(candidates: tuple[Candidate, ...]) -> list[dict[str, object]]:
    """One point per candidate that was timed and scored; colours and layout are the browser's business.

    A point's `front` says whether the Pareto front is drawn through it, within its target.
    """
    targets = dict.fromkeys(candidate.target for candidate in candidates)
    return [
        point
        for target in targets
        for point in _points([candidate for candidate in candidates if candidate.target == target])
    ]


def _points(candidates: list[Candidate]) -> list[dict[str, object]]:
    marks = marks_of(candidates)
    front = front_of(marks)
    baseline = candidates[0].quality
    return [
        {
            "label": label_of(mark.candidate, longest=LONGEST_LABEL),
            "target": mark.candidate.target,
            "p50_ms": mark.p50_ms,
            "low_ms": mark.bounds[0],
            "high_ms": mark.bounds[1],
            "quality": mark.quality,
            "worst": _worst(mark, baseline),
            "bytes": mark.candidate.size_bytes or 0,
            "baseline": mark.candidate is candidates[0],
            "chosen": mark.candidate.chosen,
            "pareto": mark.candidate.pareto,
            "front": mark in front,
            "told": _told(mark),
        }
        for mark in marks
    ]


def _worst(mark: Mark, baseline: float | None) -> float:
    """The quality that it has at least, by the bound of its drop."""
    drop_high = mark.candidate.drop_high
    if baseline is None or drop_high is None or not math.isfinite(drop_high):
        return mark.quality
    return min(baseline - drop_high, mark.quality)


def _told(mark: Mark) -> list[str]:
    """A tooltip's lines."""
    one, (low, high) = mark.candidate, mark.bounds
    p50 = f"p50 {milliseconds(mark.p50_ms)} ms"
    lines = [
        f"{one.name} for {one.target}",
        f"{p50} {interval(milliseconds(low), milliseconds(high))}" if low < high else p50,
        f"quality {score(one.quality)}, dropping by {drop(one.drop_high)} at most",
        size(one.size_bytes),
    ]
    if one.ratio is not None:
        bounds = interval(share(one.ratio.low), share(one.ratio.high))
        told = f"{share(one.ratio.value)} {bounds}".rstrip()
        lines.insert(2, f"{told} of the baseline's latency{', a tie' if is_tie(one) else ''}")
    return [*lines, one.note] if one.note else lines
