"""What Olive finds by itself, in its own environment, under the same goal and in the same time."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from benchmarks.optimize.peers.peer import Peer
from onnxyard.lifecycle.setup import Setup
from onnxyard.measuring.loading import loaded
from onnxyard.project.split import Batch, join
from onnxyard.runtimes.machine import usable_cores
from onnxyard.stages.optimize.passes.olive import search
from onnxyard.stages.optimize.passes.transformation import Materials
from onnxyard.stages.scoring import metric_of
from onnxyard.toolchains.catalogue import known
from onnxyard.toolchains.environment import Environment
from onnxyard.toolchains.installing import install

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np

    from benchmarks.optimize.contestants import Contestant
    from benchmarks.optimize.shipping import Shipped
    from onnxyard.settings import Settings


def olived(shipped: Shipped, settings: Settings, scratch: Path, *, budget_s: float) -> Contestant:
    """Its best model, run with the session that it chose.

    Raises:
        UnsupportedModelError: it found none.
    """
    from benchmarks.optimize.contestants import OLIVE, Contestant  # noqa: PLC0415 - which knows this module

    environment = Environment(known("olive"), settings)
    install(environment, lambda _: None)
    folder = shipped.folder / "olive"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    found = search(environment, shipped.model, folder, judged(shipped, scratch), seconds=budget_s)
    given = {"file": str(found.file), "session": dict(found.session)}
    note = f"{found.facts['Olive tried']}; {found.facts['Olive chose']}"
    return Contestant(OLIVE, lambda: Peer("plain", given, scratch=scratch), note)


def judged(shipped: Shipped, scratch: Path) -> Materials:
    """Calibration rows, and the metric on the validation split: what our search goes by."""
    functions = shipped.project.functions()
    splits = functions.data().completed(shipped.project.file.develop.seed)
    goals = shipped.project.file.optimize
    setup = Setup("onnxruntime", "CPUExecutionProvider", usable_cores())

    def calibration() -> Iterator[dict[str, np.ndarray]]:
        for batch in splits.calibration.batches(32):
            yield batch.inputs

    def score(file: Path) -> float:
        with loaded(file, setup, scratch=scratch) as model:
            batches = splits.validation.batches(64)
            answered = [Batch(model.run(batch.inputs), batch.targets) for batch in batches]
        outputs, targets = join(answered)
        return metric_of(functions.metrics(targets, outputs), goals.metric, where="[optimize] metric")

    return Materials(calibration, score, goals.max_drop)
