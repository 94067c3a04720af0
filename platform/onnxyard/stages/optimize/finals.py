"""The finals: the best candidates and the baseline, timed longer, all in turns, in processes started anew.

One process's median says little of the next one's: where memory falls differs from start to start. So each finalist is
launched more than once, and what a later process will measure is told from how the launches differ.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import OnnxyardError
from onnxyard.lifecycle.candidate import Outcome
from onnxyard.measuring.exclusive import measuring_alone
from onnxyard.measuring.intervals import percentile, ratio
from onnxyard.measuring.turns import Turns, play, warm_up
from onnxyard.stages.optimize.tried import BASELINE, Tried, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnxyard.lifecycle.candidate import Ratio
    from onnxyard.measuring.bench import Bench
    from onnxyard.stages.optimize.examiner import Subject

MOST = 5
"""Finalists beside the baseline: more would leave each too few calls."""
LAUNCHES = 3
_FEWEST_ROUNDS, _MOST_ROUNDS = 4, 20
_MARGIN = 1.05
"""A candidate whose first interval begins this far behind the best one's end may still win."""


def finalists(tried: Sequence[Tried], subject: Subject) -> list[Tried]:
    """Who may be the best: the cheapest that keep the goals, and the simplest of those that may tie with them.

    The baseline takes part in any case and is not among them.
    """
    goals = subject.goals
    able = [each for each in tried[1:] if each.measured and each.candidate.cost is not None]
    able = [each for each in able if not goals.shortfalls(each.candidate)]
    # Every baseline's own setting counts here: tuned threads of fp32 are a candidate like any other.
    able.sort(key=lambda each: (each.candidate.cost, each.point.complexity))
    if not able:
        return []
    if goals.minimize in {"size", "memory"}:
        return able[:MOST]
    reach = _high(able[0]) * _MARGIN
    close = [each for each in able if _low(each) <= reach]
    simplest = sorted(close[2:], key=lambda each: each.point.complexity)
    return [*close[:2], *simplest[: MOST - 2]]


class Finals:
    """One round of launches.

    Args:
        baseline: The baseline as tried.
        others: The finalists.
        subject: The target.
        repeats: Timed calls of each that are wanted, per batch size.
        until: When no time is left.
        clock: Tells it.
    """

    def __init__(
        self,
        baseline: Tried,
        others: Sequence[Tried],
        subject: Subject,
        *,
        repeats: int,
        until: float,
        clock: Callable[[], float],
    ) -> None:
        self._subject = subject
        self._until, self._clock = until, clock
        self._entries = {BASELINE: baseline, **{each.candidate.name: each for each in others}}
        self._turns = Turns()
        self._launched: dict[str, list[tuple[float, int]]] = {name: [] for name in self._entries}
        self._medians: dict[str, dict[int, list[float]]] = {
            name: {size: list(each.medians.get(size, ())) for size in subject.inputs}
            for name, each in self._entries.items()
        }
        self._rounds = {size: self._rounds_for(size, repeats) for size in subject.inputs}
        self._random = np.random.default_rng(subject.seed + 1)

    def play(self, told: Callable[[int], None]) -> list[Tried]:
        """All launches; fewer where time runs out, but one at the least. `told` hears how many are done.

        Returns:
            The baseline and the finalists with their figures; one that failed in the finals says so.
        """
        for launch in range(LAUNCHES):
            began = self._clock()
            with measuring_alone():
                self._launch()
            told(launch + 1)
            if self._clock() + (self._clock() - began) > self._until:
                break
        return [self._finished(name, each) for name, each in self._entries.items()]

    def against(self, one: str, other: str) -> Ratio | None:
        """One finalist's latency as a share of another's (names as among the benches); None for any who is not one."""
        blocks = self._turns.blocks
        if one not in blocks or other not in blocks:
            return None
        subject = self._subject
        return ratio(blocks[one], blocks[other], subject.weights, share=subject.share, seed=subject.seed)

    def _launch(self) -> None:
        """One launch of all that are still in; repeated without one that fails."""
        try:
            turns, benches = self._played()
        except OnnxyardError as error:
            name = str(error.facts.get("bench", BASELINE))
            if name == BASELINE:
                raise
            self._drop(name, error)
            self._launch()
            return
        for name, (load_ms, peak) in benches.items():
            self._launched[name].append((load_ms, peak))
            launch = len(self._launched[name])
            for size, blocks in turns.blocks[name].items():
                self._medians[name][size].append(percentile(blocks, 50))
                kept = self._turns.blocks.setdefault(name, {}).setdefault(size, [])
                kept.extend(replace(block, launch=launch) for block in blocks)

    def _played(self) -> tuple[Turns, dict[str, tuple[float, int]]]:
        """The blocks of one launch, and each bench's milliseconds to load and peak of memory."""
        turns = Turns()
        with ExitStack() as stack:
            benches: dict[str, Bench] = {}
            for name, each in self._entries.items():
                if each.measured and each.file is not None:
                    try:
                        bench = stack.enter_context(self._subject.start(each.file, each.candidate.setup))
                        warm_up(bench, self._subject.inputs)
                    except OnnxyardError as error:
                        error.facts["bench"] = name
                        raise
                    benches[name] = bench
            for size, rounds in self._rounds.items():
                play(benches, batch_size=size, rounds=rounds, random=self._random, turns=turns)
            return turns, {name: (bench.load_ms, bench.memory_bytes()) for name, bench in benches.items()}

    def _drop(self, name: str, error: OnnxyardError) -> None:
        self._turns.blocks.pop(name, None)
        self._entries[name] = self._entries[name].ended(Outcome.FAILED, f"failed in the finals: {error.detail}")

    def _rounds_for(self, size: int, repeats: int) -> int:
        """So many that every finalist makes its calls in all launches together."""
        slowest = max(each.medians[size][0] for each in self._entries.values() if size in each.medians)
        calls = max(1.0, 50.0 / slowest)
        return int(np.clip(math.ceil(repeats / calls / LAUNCHES), _FEWEST_ROUNDS, _MOST_ROUNDS))

    def _finished(self, name: str, tried: Tried) -> Tried:
        if not tried.measured or not self._launched[name]:
            return tried
        medians = {size: tuple(values) for size, values in self._medians[name].items()}
        candidate = timed(
            tried.candidate,
            name,
            self._turns,
            medians,
            self._subject.weights,
            share=self._subject.share,
            seed=self._subject.seed,
        )
        loads, peaks = zip(*self._launched[name], strict=True)
        candidate = replace(candidate, load_ms=float(median(loads)), memory_bytes=int(median(peaks)))
        missed = self._subject.goals.shortfalls(candidate)
        cost = self._subject.goals.cost(candidate, self._subject.weights)
        note = "; ".join(map(str, missed)) or candidate.note
        return replace(tried, candidate=replace(candidate, cost=cost, note=note), medians=medians)


def _low(tried: Tried) -> float:
    return tried.candidate.ratio.low if tried.candidate.ratio else 1.0


def _high(tried: Tried) -> float:
    return tried.candidate.ratio.high if tried.candidate.ratio else 1.0
