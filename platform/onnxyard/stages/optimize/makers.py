"""Candidates made in children: several at a time where that is asked for, never beside a measurement."""

from __future__ import annotations

import os
import queue
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from onnxyard.errors import MissingExtraError, OnnxyardError, StorageFullError, UnsupportedModelError, UserCodeError
from onnxyard.measuring.exclusive import working_beside
from onnxyard.toolchains.worker import Ask, Worker

if TYPE_CHECKING:
    from collections.abc import Iterable

_PROGRAM = Path(__file__).with_name("making_child.py")


@dataclass(frozen=True, slots=True)
class Made:
    """A recipe's model.

    Attributes:
        file: Its entry file; the folder it lies in holds the model and nothing else. None where it was not made.
        precision: Of the graph.
        portable: Whether it has operators of the ONNX standard only.
        facts: What was done, by topic.
        failure: Why there is none.
        broke: Whether it failed rather than had nothing to offer.
        seconds: What making took.
    """

    file: Path | None
    precision: str = ""
    portable: bool = True
    facts: dict[str, str] = field(default_factory=dict)
    failure: str = ""
    broke: bool = False
    seconds: float = 0.0


class Makers:
    """Child processes that make candidates.

    Args:
        prepared: What each is told first (`onnxyard.stages.optimize.making_child.prepare`).
        source: The exported model's file.
        folder: Candidates are made below it, one folder per recipe.
        scratch: For the children's logs.
        workers: How many at a time.
    """

    def __init__(self, prepared: dict[str, Any], source: Path, folder: Path, *, scratch: Path, workers: int) -> None:
        self._prepared, self._source, self._folder, self._scratch = prepared, source, folder, scratch
        self._done: dict[str, Made] = {}
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="maker")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        while not self._idle.empty():
            self._idle.get().close()

    def make(self, recipes: Iterable[str], *, limit_s: float) -> dict[str, Made]:
        """Make these recipes' candidates, unless they are made already; each has so much time.

        Raises:
            UserCodeError: the project's own code failed.
            StorageFullError: no space is left.
        """
        names = list(recipes)
        missing = [name for name in names if name not in self._done]
        if missing:
            with working_beside():
                made = self._pool.map(lambda name: self._make(name, limit_s), missing)
                self._done |= dict(zip(missing, made, strict=True))
        return {name: self._done[name] for name in names}

    def _make(self, recipe: str, limit_s: float) -> Made:
        folder = self._folder / recipe
        worker = self._worker()
        try:
            said = worker.ask(
                Ask(
                    "make",
                    {"recipe": recipe, "source": str(self._source), "folder": str(folder)},
                    limit_s,
                    _BrokenError,
                )
            )
        except _BrokenError as error:  # the child is gone
            return Made(None, failure=error.detail, broke=True)
        except (UserCodeError, StorageFullError):
            self._idle.put(worker)
            raise
        except OnnxyardError as error:
            self._idle.put(worker)
            broke = bool(error.facts.get("broke", isinstance(error, MissingExtraError)))
            return Made(None, failure=f"{error.detail} {error.remedy}".strip(), broke=broke)
        self._idle.put(worker)
        return Made(
            Path(said["file"]), said["precision"], said["portable"], said["facts"], seconds=float(said["seconds"])
        )

    def _worker(self) -> Worker:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            worker = Worker(
                Path(sys.executable),
                _PROGRAM,
                name="maker",
                home=self._scratch,
                environ={**os.environ},
                title="process that makes candidates",
            )
            worker.ask(Ask("prepare", self._prepared, 120.0, UnsupportedModelError))
            return worker


class _BrokenError(UnsupportedModelError):
    """A child that crashed, hung or ran out of time."""

    code = "maker-broke"
