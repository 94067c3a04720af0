"""One interleaved run of everybody, and what it says."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.optimize.contestants import OURS, Absent, Contestant, contestants, quality, started
from benchmarks.optimize.shipping import BATCH_SIZES, MAX_DROP, ship
from onnxyard.errors import OnnxyardError
from onnxyard.lifecycle.candidate import Ratio
from onnxyard.measuring.exclusive import measuring_alone
from onnxyard.measuring.intervals import percentile, ratio
from onnxyard.measuring.turns import Turns, play, warm_up

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.optimize.shipping import Shipped
    from onnxyard.measuring.bench import Bench
    from onnxyard.settings import Settings

SHARES = {"p50": 50.0, "p99": 99.0}
FIRST = "p50 batch 1"


@dataclass(frozen=True)
class Row:
    """One contestant at one model.

    Attributes:
        model: The model's name.
        contestant: The contestant's.
        note: What it is.
        runtime: What ran it.
        quality: The metric on the test split.
        ms: By `p50 batch 1` and so on: milliseconds of a call.
        ratios: Likewise: ours divided by theirs, with a 95 % interval; below 1 we are faster.
    """

    model: str
    contestant: str
    note: str
    runtime: str
    quality: float
    ms: dict[str, float]
    ratios: dict[str, Ratio] = field(default_factory=dict)


@dataclass(frozen=True)
class Duel:
    """A model's.

    Attributes:
        model: Its name.
        candidates: How many our search tried.
        search_s: How long it took.
        rows: Ours first.
        absent: Who took no part, and why.
    """

    model: str
    candidates: int
    search_s: float
    rows: tuple[Row, ...]
    absent: tuple[Absent, ...]


def duel(
    name: str, cache: Path, settings: Settings, *, budget_s: float, launches: int, rounds: int, names: tuple[str, ...]
) -> Duel:
    """Ship the model, let everybody search, and time them in turns.

    Args:
        name: One of MODELS.
        cache: What is kept between runs.
        settings: Whose home holds the toolchains.
        budget_s: Seconds of each search.
        launches: How often each contestant's process is started anew.
        rounds: Blocks of each contestant, per launch and batch size.
        names: Who takes part.
    """
    shipped = ship(name, cache, budget_s=budget_s)
    found = shipped.search()
    scratch = cache / name / "scratch"
    present, absent = contestants(shipped, found, settings, scratch, budget_s=budget_s, names=(OURS, *names))
    turns, runtimes, scores = Turns(), dict[str, str](), dict[str, float]()
    for launch in range(launches):
        with measuring_alone(), started(present, absent) as benches:
            _warm(shipped, benches, absent)
            present = [one for one in present if one.name in benches]
            for batch_size in BATCH_SIZES:
                random = np.random.default_rng([launch, batch_size])
                play(benches, batch_size=batch_size, rounds=rounds, random=random, turns=turns)
            runtimes |= {each: bench.runtime for each, bench in benches.items()}
            if launch == launches - 1:
                scores = {each: quality(shipped, bench) for each, bench in benches.items()}
    rows = tuple(_row(name, one, turns, runtimes[one.name], scores[one.name]) for one in present)
    return Duel(name, len(found.result.candidates), found.seconds, rows, tuple(absent))


def _warm(shipped: Shipped, benches: dict[str, Bench], absent: list[Absent]) -> None:
    """Call each once and again; one that fails takes no part."""
    split = shipped.project.functions().data().completed(shipped.project.file.develop.seed).validation
    inputs = {size: split.take(size).inputs for size in BATCH_SIZES}
    for name in list(benches):
        try:
            warm_up(benches[name], inputs, seconds=1.0)
        except OnnxyardError as error:
            if name == OURS:
                raise
            absent.append(Absent(name, str(error)))
            benches.pop(name).close()


def _row(model: str, one: Contestant, turns: Turns, runtime: str, score: float) -> Row:
    ours, theirs = turns.blocks[OURS], turns.blocks[one.name]
    ms, ratios = {}, {}
    for size in BATCH_SIZES:
        for name, share in SHARES.items():
            key = f"{name} batch {size}"
            ms[key] = percentile(theirs[size], share)
            if one.name != OURS:
                ratios[key] = ratio(ours, theirs, {size: 1.0}, share=share)
    return Row(model, one.name, one.note, runtime, score, ms, ratios)


def hardest(duel: Duel) -> Row | None:
    """Whom we beat by the least, or lose to, among those that keep the goal as we do."""
    kept = [row for row in duel.rows if row.ratios and row.quality >= duel.rows[0].quality - MAX_DROP]
    return max(kept, key=lambda row: row.ratios[FIRST].value, default=None)


def say(duel: Duel) -> None:
    """The model's table, in the terminal."""
    out = sys.stdout.write
    out(f"\n{duel.model}: {duel.candidates} candidates in {duel.search_s:.0f} s\n")
    keys = list(duel.rows[0].ms)
    out(f"  {'':18} {'quality':>8}" + "".join(f"{key:>13}" for key in keys) + "   ours / theirs, by p50 and p99\n")
    for row in duel.rows:
        told = [f"{each.value:.2f} [{each.low:.2f}, {each.high:.2f}]" for each in row.ratios.values()]
        out(f"  {row.contestant:18} {row.quality:8.4f}" + "".join(f"{row.ms[key]:10.3f} ms" for key in keys))
        out(f"   {'  '.join(told)}\n  {'':18} {row.note} ({row.runtime})\n")
    if worst := hardest(duel):
        ratio = worst.ratios[FIRST]
        told = "not slower than anybody" if ratio.low <= 1 else f"SLOWER than {worst.contestant}"
        out(f"  {told}: at worst {ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}] ({FIRST}, {worst.contestant})\n")
    for one in duel.absent:
        out(f"  {one.name:18} absent: {one.reason}\n")
    sys.stdout.flush()
