"""Whether what the search reports is what serving measures: the chosen candidate, loaded anew again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.optimize.shipping import BATCH_SIZES, ship
from onnxyard.measuring.bench import Bench
from onnxyard.measuring.exclusive import measuring_alone
from onnxyard.measuring.intervals import percentile
from onnxyard.measuring.turns import warm_up
from onnxyard.runtimes.entry import entry_file

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 2.0
"""Of calls in each process."""


@dataclass(frozen=True)
class Honesty:
    """A model's.

    Attributes:
        model: Its name.
        candidate: What was chosen.
        low_ms: With 95 %, a later process's median lies above this.
        high_ms: Likewise, below this.
        medians: What later processes measured, in milliseconds.
    """

    model: str
    candidate: str
    low_ms: float
    high_ms: float
    medians: tuple[float, ...]

    @property
    def inside(self) -> int:
        """How many of them lie in the interval."""
        return sum(self.low_ms <= each <= self.high_ms for each in self.medians)

    def words(self) -> str:
        """One line."""
        told = ", ".join(f"{each:.3f}" for each in self.medians)
        return (
            f"{self.model}: {self.candidate}: {self.inside} of {len(self.medians)} inside "
            f"[{self.low_ms:.3f}, {self.high_ms:.3f}] ms: {told}"
        )


def honesty(name: str, cache: Path, *, budget_s: float, runs: int) -> Honesty:
    """Search, then load the choice `runs` times, a process each, and take its median at the first batch size."""
    shipped = ship(name, cache, budget_s=budget_s)
    found = shipped.search()
    chosen, size = found.chosen, BATCH_SIZES[0]
    split = shipped.project.functions().data().completed(shipped.project.file.develop.seed).validation
    inputs, file, medians = split.take(size).inputs, entry_file(found.folder), []
    for _ in range(runs):
        with measuring_alone(), Bench(file, chosen.setup, scratch=shipped.folder / "scratch") as bench:
            warm_up(bench, {size: inputs}, seconds=0.5)
            block = bench.block(batch_size=size, calls=20_000, seconds=SECONDS)
            medians.append(percentile([block], 50))
    reported = next(each for each in chosen.latencies if each.batch_size == size)
    return Honesty(name, chosen.name, reported.low_ms, reported.high_ms, tuple(medians))
