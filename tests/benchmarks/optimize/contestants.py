"""Who takes part for one model: our choice, what a user would have without it, and what other optimizers find."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.optimize.peers.navigator import navigated
from benchmarks.optimize.peers.olive import olived
from benchmarks.optimize.peers.peer import Peer
from onnxyard.errors import OnnxyardError
from onnxyard.measuring.bench import Bench
from onnxyard.project.split import Batch, join
from onnxyard.runtimes.entry import entry_file
from onnxyard.stages.scoring import metric_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.optimize.shipping import Found, Shipped
    from onnxyard.settings import Settings

OURS, PLAIN = "onnxyard", "onnxruntime fp32"
EAGER, COMPILED, NATIVE = "torch eager", "torch.compile", "native"
OLIVE, NAVIGATOR = "olive", "model navigator"
EVERYBODY = (OURS, PLAIN, EAGER, COMPILED, NATIVE, OLIVE, NAVIGATOR)
ROWS = 8
"""Rows per call where quality is scored: one of the timed batch sizes, so that nothing is compiled anew."""


@dataclass(frozen=True)
class Contestant:
    """One of them.

    Attributes:
        name: One of EVERYBODY.
        start: Starts its process.
        note: What it is, in a few words.
    """

    name: str
    start: Callable[[], Bench]
    note: str


@dataclass(frozen=True)
class Absent:
    """One that does not take part, and why."""

    name: str
    reason: str


def contestants(
    shipped: Shipped, found: Found, settings: Settings, scratch: Path, *, budget_s: float, names: tuple[str, ...]
) -> tuple[list[Contestant], list[Absent]]:
    """Let each of `names` do its search; whoever finds nothing is absent."""
    chosen, file = found.chosen, entry_file(found.folder)
    torch = shipped.project.file.project.framework == "torch"
    given = {"project": str(shipped.project.root), "fitted": str(shipped.fitted)}
    makers: dict[str, Callable[[], Contestant]] = {
        OURS: lambda: Contestant(OURS, lambda: Bench(file, chosen.setup, scratch=scratch), chosen.name),
        PLAIN: lambda: Contestant(
            PLAIN, lambda: Peer("plain", {"file": str(shipped.model)}, scratch=scratch), "as exported, default session"
        ),
        (EAGER if torch else NATIVE): lambda: Contestant(
            EAGER if torch else NATIVE, lambda: Peer("source", given, scratch=scratch), "what the model was made with"
        ),
        OLIVE: lambda: olived(shipped, settings, scratch, budget_s=budget_s),
        NAVIGATOR: lambda: navigated(shipped, settings.home, scratch),
    }
    if torch:
        makers[COMPILED] = lambda: Contestant(COMPILED, lambda: Peer("compiled", given, scratch=scratch), "inductor")
    present: list[Contestant] = []
    absent: list[Absent] = []
    for name in EVERYBODY:
        if name not in names or name not in makers:
            continue
        try:
            present.append(makers[name]())
        except OnnxyardError as error:
            absent.append(Absent(name, str(error)))
    return present, absent


def quality(shipped: Shipped, bench: Bench) -> float:
    """The project's metric on the test split, which nobody has chosen by."""
    functions = shipped.project.functions()
    answered = []
    for batch in functions.data().completed(shipped.project.file.develop.seed).test.batches(ROWS):
        inputs = {name: np.resize(array, (ROWS, *array.shape[1:])) for name, array in batch.inputs.items()}
        outputs = {name: array[: len(batch.targets)] for name, array in bench.run(inputs).items()}
        answered.append(Batch(outputs, batch.targets))
    outputs, targets = join(answered)
    metric = shipped.project.file.optimize.metric
    return metric_of(functions.metrics(targets, outputs), metric, where="[optimize] metric")


@contextmanager
def started(present: list[Contestant], absent: list[Absent]) -> Iterator[dict[str, Bench]]:
    """A process each; one that does not start becomes absent."""
    benches: dict[str, Bench] = {}
    try:
        for one in present:
            try:
                benches[one.name] = one.start()
            except OnnxyardError as error:
                absent.append(Absent(one.name, str(error)))
        yield benches
    finally:
        for bench in benches.values():
            bench.close()
