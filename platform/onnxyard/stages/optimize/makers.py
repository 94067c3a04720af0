"""Candidates made in children, several at a time where that is asked for, here or by a Dask cluster's workers.

Never beside a measurement: whoever makes a candidate keeps measurements on its machine waiting.
"""

from __future__ import annotations

import os
import queue
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from onnxyard.errors import (
    MissingExtraError,
    OnnxyardError,
    StorageFullError,
    UnreachableError,
    UnsupportedModelError,
    UserCodeError,
)
from onnxyard.lifecycle.digest import digest_of
from onnxyard.measuring.exclusive import working_beside
from onnxyard.settings import HOME
from onnxyard.toolchains.worker import Ask, Worker

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor

_PROGRAM = Path(__file__).with_name("making_child.py")
_START_S = 120.0
_DASK_S = "10s"
_IDLE: defaultdict[str, queue.SimpleQueue[Worker]] = defaultdict(queue.SimpleQueue)
"""Children of this process that have nothing to do, by what they were told: starting one takes seconds."""


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


@dataclass(frozen=True, slots=True)
class Job:
    """One candidate to make.

    Attributes:
        recipe: The recipe's name.
        source: The exported model's file.
        folder: Where the candidate is to lie.
        prepared: What a child is told first (`onnxyard.stages.optimize.making_child.prepare`).
        environ: Environment variables that a child gets beside this process's own.
        scratch: For the child's log.
        limit_s: How long it may take.
    """

    recipe: str
    source: str
    folder: str
    prepared: dict[str, Any]
    environ: dict[str, str]
    scratch: str
    limit_s: float


class Makers:
    """Makes candidates, each once.

    Args:
        prepared: What each child is told first.
        source: The exported model's file.
        folder: Candidates are made below it, one folder per recipe.
        scratch: For the children's logs.
        workers: How many at a time.
        home: The folder that holds toolchains; None takes what the settings say.
        dask: The address of a Dask scheduler whose workers make them, on machines that see the same files at the same
            places; None makes them here.

    Raises:
        MissingExtraError: Dask is asked for and not installed.
        UnreachableError: its scheduler does not answer.
    """

    def __init__(
        self,
        prepared: dict[str, Any],
        source: Path,
        folder: Path,
        *,
        scratch: Path,
        workers: int,
        home: Path | None = None,
        dask: str | None = None,
    ) -> None:
        self._prepared, self._source, self._folder, self._scratch = prepared, source, folder, scratch
        self._environ = {} if home is None else {HOME: str(home)}
        self._done: dict[str, Made] = {}
        self._client: Any = None if dask is None else _dask_client(dask)
        self._pool: Executor = (
            ThreadPoolExecutor(workers, thread_name_prefix="maker")
            if self._client is None
            else self._client.get_executor()
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        if self._client is not None:
            self._client.run(dismiss, self._prepared)
            self._client.close()
        dismiss(self._prepared)

    def make(self, recipes: Iterable[str], *, limit_s: float) -> dict[str, Made]:
        """Make these recipes' candidates, unless they are made already; each has so much time.

        Raises:
            UserCodeError: the project's own code failed.
            StorageFullError: no space is left.
        """
        names = list(recipes)
        missing = [name for name in names if name not in self._done]
        made = self._pool.map(make_in_child, [self._job(name, limit_s) for name in missing])
        self._done |= dict(zip(missing, made, strict=True))
        return {name: self._done[name] for name in names}

    def _job(self, recipe: str, limit_s: float) -> Job:
        folder = self._folder / recipe
        return Job(recipe, str(self._source), str(folder), self._prepared, self._environ, str(self._scratch), limit_s)


def make_in_child(job: Job) -> Made:
    """Make one candidate in a child of this process, and wait for it. Raises as `Makers.make`."""
    given = {"recipe": job.recipe, "source": job.source, "folder": job.folder}
    idle = _IDLE[digest_of(job.prepared)]
    with working_beside():
        worker = _worker(idle, job)
        try:
            said = worker.ask(Ask("make", given, job.limit_s, _BrokenError))
        except _BrokenError as error:  # the child is gone
            return Made(None, failure=error.detail, broke=True)
        except OnnxyardError as error:
            idle.put(worker)
            if isinstance(error, UserCodeError | StorageFullError):
                raise
            broke = bool(error.facts.get("broke", isinstance(error, MissingExtraError)))
            return Made(None, failure=f"{error.detail} {error.remedy}".strip(), broke=broke)
        idle.put(worker)
        file, seconds = Path(said["file"]), float(said["seconds"])
        return Made(file, said["precision"], said["portable"], said["facts"], seconds=seconds)


def dismiss(prepared: dict[str, Any]) -> None:
    """End the idle children that were told this."""
    idle = _IDLE.pop(digest_of(prepared), None)
    while idle is not None and not idle.empty():
        idle.get().close()


def _worker(idle: queue.SimpleQueue[Worker], job: Job) -> Worker:
    try:
        return idle.get_nowait()
    except queue.Empty:
        title = "process that makes candidates"
        scratch = Path(job.scratch)
        worker = Worker(
            Path(sys.executable),
            _PROGRAM,
            name="maker",
            home=scratch,
            environ={**os.environ, **job.environ},
            title=title,
        )
        worker.ask(Ask("prepare", job.prepared, _START_S, UnsupportedModelError))
        return worker


def _dask_client(address: str) -> Any:  # noqa: ANN401 - distributed ships no types
    try:
        from distributed import Client  # noqa: PLC0415 - the `dask` extra
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "Candidates are to be made by a Dask cluster, and Dask is not installed.",
            remedy="Install it with: pip install 'onnxyard[dask]'",
            extra="dask",
        ) from error
    try:
        client: Any = Client  # untyped
        return client(address, timeout=_DASK_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UnreachableError(
            f"The Dask scheduler does not answer: {error}",
            where=address,
            remedy="Start it, or leave --dask out: candidates are made here then.",
        ) from error


class _BrokenError(UnsupportedModelError):
    """A child that crashed, hung or ran out of time."""

    code = "maker-broke"
