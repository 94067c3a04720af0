"""What a target and its project ask of a candidate, and which candidate meets it best."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from onnxyard.errors import GateFailedError
from onnxyard.lifecycle.candidate import Candidate, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from onnxyard.lifecycle.candidate import Ratio
    from onnxyard.project.file import OptimizeSection, TargetSection

    Complexity = tuple[int, ...]

MIB = 1 << 20
_LIKE = 0.02
"""Peaks of memory this close are alike: allocators round."""
_NEAREST = 3


@dataclass(frozen=True, slots=True)
class Shortfall:
    """One goal that a candidate misses.

    Attributes:
        goal: The key in the project file.
        value: What the candidate has.
        limit: What is asked for.
        unit: Of both.
    """

    goal: str
    value: float
    limit: float
    unit: str

    @property
    def excess(self) -> float:
        """How many times too much."""
        return self.value / self.limit if self.limit else float("inf")

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.goal}: {self.value:.4g} instead of {self.limit:.4g}{unit}"


@dataclass(frozen=True, slots=True)
class Goals:
    """The goals of one target.

    Attributes:
        minimize: What is made small.
        metric: The metric that must hold.
        max_drop: How far it may drop, and
        confidence: with which one-sided confidence.
        latency_ms: Largest p99 at the first batch size.
        memory_bytes: Largest peak.
        disk_bytes: Largest size of the files.
    """

    minimize: Literal["p50", "p99", "throughput", "size", "memory"]
    metric: str
    max_drop: float
    confidence: float
    latency_ms: float | None
    memory_bytes: float | None
    disk_bytes: float | None

    @classmethod
    def of(cls, section: TargetSection, goals: OptimizeSection) -> Goals:
        """The goals that stand in a project file."""
        return cls(
            goals.minimize,
            goals.metric,
            goals.max_drop,
            goals.confidence,
            section.latency_ms,
            None if section.memory_mb is None else section.memory_mb * MIB,
            None if section.disk_mb is None else section.disk_mb * MIB,
        )

    def weights(self, batch_sizes: Mapping[int, float]) -> dict[int, float]:
        """How much each batch size counts where latencies are compared: as the cost sees them.

        Throughput looks at the largest alone; the others are measured, too, and decide nothing.
        """
        if self.minimize != "throughput":
            return dict(batch_sizes)
        return {size: float(size == max(batch_sizes)) for size in batch_sizes}

    def shortfalls(self, candidate: Candidate) -> list[Shortfall]:
        """The goals that a measured candidate misses."""
        asked: tuple[tuple[str, float | None, float | None, float, str], ...] = (
            ("max_drop", candidate.drop_high, self.max_drop, 1, self.metric),
            ("latency_ms", candidate.p99_ms, self.latency_ms, 1, "ms"),
            ("memory_mb", candidate.memory_bytes, self.memory_bytes, MIB, "MiB"),
            ("disk_mb", candidate.size_bytes, self.disk_bytes, MIB, "MiB"),
        )
        return [
            Shortfall(goal, value / scale, limit / scale, unit)
            for goal, value, limit, scale, unit in asked
            if value is not None and limit is not None and value > limit
        ]

    def cost(self, candidate: Candidate, weights: Mapping[int, float]) -> float | None:
        """What is to be small: milliseconds, milliseconds per row, or bytes; None where it was not measured."""
        if self.minimize == "size":
            return candidate.size_bytes
        if self.minimize == "memory":
            return candidate.memory_bytes
        if not candidate.latencies:
            return None
        if self.minimize == "throughput":
            largest = max(candidate.latencies, key=lambda each: each.batch_size)
            return largest.p50_ms / largest.batch_size
        told = {each.batch_size: each.p50_ms if self.minimize == "p50" else each.p99_ms for each in candidate.latencies}
        return sum(weights[size] * value for size, value in told.items()) / sum(weights[size] for size in told)


@dataclass(frozen=True, slots=True)
class Choice:
    """Who goes on.

    Attributes:
        candidate: The chosen one.
        tied: Names of others that measure alike.
        reason: Why, in one sentence.
    """

    candidate: Candidate
    tied: tuple[str, ...]
    reason: str


def choose(
    candidates: Iterable[Candidate],
    goals: Goals,
    *,
    baseline: str,
    complexity: Mapping[str, Complexity],
    against: Callable[[str, str], Ratio | None],
) -> Choice:
    """The candidate with the smallest cost among those that meet every goal; of those that tie with it, the simplest.

    Args:
        candidates: Of one target.
        goals: Its goals.
        baseline: The baseline's name.
        complexity: By name; the smaller one is simpler.
        against: One candidate's latency as a share of another's, by name, timed in turns; None where they were not.

    Raises:
        GateFailedError: none meets every goal; it names the one that binds, and the nearest candidates.
    """
    measured = [each for each in candidates if each.outcome is Outcome.MEASURED and each.cost is not None]
    allowed = [each for each in measured if not goals.shortfalls(each)]
    if not allowed:
        raise _unmet(measured, goals)
    best = min(allowed, key=lambda each: (each.cost, complexity[each.name]))
    tied = [each for each in allowed if each is best or _alike(each, best, goals, against)]
    winner = min(tied, key=lambda each: complexity[each.name])
    others = tuple(each.name for each in tied if each is not winner)
    return Choice(winner, others, _reason(winner, others, goals, baseline))


def pareto(candidates: Iterable[Candidate]) -> set[str]:
    """Names of the measured candidates that no other beats: better in one of quality, latency (its ratio), size and
    memory, and worse in none.
    """  # noqa: D205
    measured = [each for each in candidates if each.outcome is Outcome.MEASURED and each.quality is not None]

    def axes(each: Candidate) -> tuple[float, float, float, float]:
        ratio = float("inf") if each.ratio is None else each.ratio.value
        return (-(each.quality or 0.0), ratio, float(each.size_bytes or 0), float(each.memory_bytes or 0))

    def beaten(one: Candidate, by: Candidate) -> bool:
        mine, theirs = axes(one), axes(by)
        return theirs != mine and all(their <= my for my, their in zip(mine, theirs, strict=True))

    return {one.name for one in measured if not any(beaten(one, other) for other in measured)}


def _alike(one: Candidate, best: Candidate, goals: Goals, against: Callable[[str, str], Ratio | None]) -> bool:
    if goals.minimize == "size":
        return one.size_bytes == best.size_bytes
    if goals.minimize == "memory":
        return (one.memory_bytes or 0) <= (best.memory_bytes or 0) * (1 + _LIKE)
    ratio = against(one.name, best.name)
    return ratio is not None and ratio.low <= 1.0


def _reason(winner: Candidate, tied: tuple[str, ...], goals: Goals, baseline: str) -> str:
    called = {"p50": "median latency", "p99": "99th percentile", "throughput": "time per row", "size": "size"}
    what = called.get(goals.minimize, "peak memory")
    if winner.name == baseline:
        if tied:
            return f"{baseline} stays: {_listed(tied)} cannot be told apart from it in {what}, and it is simpler"
        return f"{baseline} stays: nothing that keeps the goals has a smaller {what}"
    held = f"{goals.metric} drops by at most {winner.drop_high or 0.0:.3g} ({goals.confidence:.0%} confidence)"
    if goals.minimize in {"size", "memory"} or winner.ratio is None:
        told = f"{winner.name} has the smallest {what} of all that keep the goals"
    else:
        ratio = winner.ratio
        told = f"{winner.name} has {ratio.value:.3g} [{ratio.low:.3g}, {ratio.high:.3g}] times {baseline}'s {what}"
    if not tied:
        return f"{told}, and {held}"
    are = "is" if len(tied) == 1 else "are"
    return f"{told}, and {held}; {_listed(tied)} cannot be told apart from it and {are} less simple"


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _unmet(measured: list[Candidate], goals: Goals) -> GateFailedError:
    """Which goal binds: without it alone the most candidates would do; else the one that is missed most often."""
    missed = {each.name: goals.shortfalls(each) for each in measured}
    alone = Counter(found[0].goal for found in missed.values() if len(found) == 1)
    often = Counter(each.goal for found in missed.values() for each in found)
    binding = (alone or often).most_common(1)[0][0] if often else goals.minimize
    nearest = sorted(measured, key=lambda each: (len(missed[each.name]), sum(s.excess for s in missed[each.name])))
    told = [f"{each.name}: {', '.join(map(str, missed[each.name]))}" for each in nearest[:_NEAREST]]
    where = "[optimize]" if binding == "max_drop" else "[targets]"
    return GateFailedError(
        f"None of {len(measured)} measured candidates meets every goal; the one that binds is {binding}.",
        where=f"{where} {binding}",
        remedy=f"Relax {binding}, or allow more (precision, runtime, recipes). The nearest candidates are listed.",
        problems=told,
        binding=binding,
    )
