"""A candidate: one recipe's result for one target, measured; and the rule that chooses among them."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Candidate:
    """One recipe's model for one target, as measured.

    Attributes:
        recipe: The recipe's name, as `fp32`, `int8-qdq`, `int8-dynamic`.
        target: The target's name in the project file.
        quality: The metric named in `[optimize]`, on the validation split; None where it did not run.
        p50_ms: Median latency of one call in milliseconds, interleaved with the other candidates.
        p99_ms: 99th percentile of the same samples.
        size_bytes: Bytes of the candidate's files.
        chosen: Whether this candidate goes on to validate.
        note: Why it was chosen, passed over, or could not be made.
    """

    recipe: str
    target: str
    quality: float | None
    p50_ms: float | None
    p99_ms: float | None
    size_bytes: int | None
    chosen: bool = False
    note: str = ""


def choose(
    candidates: tuple[Candidate, ...], *, baseline: str, max_drop: float, higher_is_better: bool = True
) -> tuple[Candidate, ...]:
    """Mark the fastest candidate (by p50) whose quality drops by at most `max_drop` below the baseline recipe's.

    "None is better than the baseline" is an allowed outcome: the baseline competes like the others and wins ties.
    Every candidate that is passed over says why in its note.

    Raises:
        ValueError: no measured candidate carries the baseline recipe's name.
    """
    measured = [c for c in candidates if c.quality is not None and c.p50_ms is not None]
    reference = next((c for c in measured if c.recipe == baseline), None)
    if reference is None or reference.quality is None or reference.p50_ms is None:
        raise ValueError(f"no measured candidate is called {baseline!r}")
    sign = 1.0 if higher_is_better else -1.0

    def drop(candidate: Candidate) -> float:
        assert candidate.quality is not None and reference.quality is not None  # noqa: PT018, S101 - `measured` holds these
        return sign * (reference.quality - candidate.quality)

    eligible = [c for c in measured if c is reference or drop(c) <= max_drop]
    winner = min(eligible, key=lambda c: (c.p50_ms, c is not reference))
    marked = []
    for c in candidates:
        if c is winner:
            alone = (
                "the fastest that keeps the declared quality"
                if c is not reference
                else f"none is faster than {baseline}"
            )
            marked.append(replace(c, chosen=True, note=c.note or alone))
        elif c not in measured:
            marked.append(replace(c, note=c.note or "not measured"))
        elif c not in eligible:
            marked.append(replace(c, note=f"quality drops by {drop(c):.4g}, more than {max_drop:.4g}"))
        else:
            marked.append(replace(c, note=f"slower than {winner.recipe}"))
    return tuple(marked)
