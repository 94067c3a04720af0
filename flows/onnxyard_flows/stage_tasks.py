"""A stage as a Prefect task: record, call, return. Its result is kept under the request's key and reused by content."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from prefect import Task
from prefect.cache_policies import CacheKeyFnPolicy

from onnxyard.errors import ArtifactCorruptError, NotFoundError, StorageFullError, TransientError
from onnxyard.ports.artifact_store import ArtifactStore
from onnxyard.project.project import Project
from onnxyard.project.protocols import Report
from onnxyard.stages.kept import KeptResults, R, artifacts, dump, load
from onnxyard_flows.failpoint import failpoint
from onnxyard_flows.progress import Bars
from onnxyard_flows.records import LifecycleRecorder, tell_config, tell_result

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State, TaskRun


log = logging.getLogger(__name__)

RETRIES = 2
RETRY_SECONDS = [1.0, 5.0]


@dataclass(frozen=True)
class StageJob(Generic[R]):
    """One stage with all it needs to run once.

    Attributes:
        name: The stage's name.
        key: The request's key.
        kind: The result's type.
        inputs: Digest of each input artifact by the name of the folder it is fetched to.
        call: The stage: (folder of the inputs, workspace, report) to result.
        sections: Sections of the project file that are recorded with it.
        steps: How many steps it will report, where known.
    """

    name: str
    key: str
    kind: type[R]
    inputs: Mapping[str, str]
    call: Callable[[Path, Path, Report], R]
    sections: tuple[str, ...]
    steps: int | None = None


@dataclass(frozen=True)
class Done:
    """How a stage went: its key, seconds of this run, and whether its result was there already."""

    key: str
    seconds: float
    reused: bool


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of wall time."""
        return time.monotonic() - self._began


@dataclass(frozen=True)
class Workshop:
    """Where jobs are done.

    Attributes:
        workspaces: Scratch folders, one per job; they belong to this project's run alone.
        results: Where Prefect keeps results.
        kept: Where commands look for them.
        store: The artifact store.
        project: The loaded project.
        records: The lifecycle's record.
        bars: Progress for people.
        shelf: What optimize keeps between runs.
        workers: Candidates that optimize makes at a time.
        dask: Address of a Dask scheduler whose workers make them.
        done: How each stage went, filled as they go.
    """

    workspaces: Path
    results: Path
    kept: KeptResults
    store: ArtifactStore
    project: Project
    records: LifecycleRecorder
    bars: Bars
    shelf: Path
    workers: int
    dask: str | None
    done: dict[str, Done] = field(default_factory=dict)

    def result(self, job: StageJob[R]) -> R:
        """The job's result: the one that is kept if its artifacts are still what they were, else a new one.

        Raises what the stage raises.
        """
        watch = Stopwatch()
        _discard_if_torn(self.results / _cache_key(job))
        result, reused = self._ask(job, refresh=False)
        if result is None or (reused and not self._intact(job, result)):
            result, reused = self._ask(job, refresh=True)
        if result is None:  # pragma: no cover - a body's own result always loads
            raise ArtifactCorruptError(f"The result of {job.name} cannot be read back.", where=str(self.results))
        if reused:
            self.records.reused(job.name, job.key)
            self.bars.reused(job.name)
        self.done[job.name] = Done(job.key, watch.seconds, reused)
        return result

    def _ask(self, job: StageJob[R], *, refresh: bool) -> tuple[R | None, bool]:
        """Prefect's answer, and whether it was kept; None for a kept text that is not a result of this kind."""
        ran = False

        def body(job: StageJob[R]) -> str:
            nonlocal ran
            ran = True
            return dump(self._carry_out(job))

        text = _task(body, job, results=self.results, refresh=refresh)(job)
        try:
            return load(job.kind, text), not ran
        except ValueError:
            log.warning("the kept result of %s is not one: it runs again", job.name)
            return None, not ran

    def _carry_out(self, job: StageJob[R]) -> R:
        """Run the stage in a clean folder and put what it made into the store."""
        space = self.workspaces / f"{job.name}-{job.key}"
        shutil.rmtree(space, ignore_errors=True)
        inputs, work = space / "inputs", space / "work"
        work.mkdir(parents=True)
        for folder, digest in job.inputs.items():
            self.store.fetch(digest, inputs / folder)
        with (
            self.records.stage(job.name, key=job.key) as record,
            self.bars.stage(job.name, steps=job.steps) as bar,
        ):
            tell_config(record, self.project, *job.sections)

            def report(step: int, metrics: Mapping[str, float]) -> None:
                record.metrics(metrics, step=step)
                bar(step, metrics)

            with failpoint(job.name, work):
                result = job.call(inputs, work, report)
            for folder_name, artifact in artifacts(result).items():
                if self.store.put(work / folder_name).digest != artifact.digest:
                    raise ArtifactCorruptError(
                        f"What {job.name} wrote changed before it was stored.", where=str(work / folder_name)
                    )
            tell_result(record, result, folder=work)
        self.kept.keep(job.name, job.key, result)
        shutil.rmtree(space, ignore_errors=True)
        return result

    def _intact(self, job: StageJob[R], result: R) -> bool:
        try:
            for artifact in artifacts(result).values():
                self.store.verify(artifact.digest)
        except (ArtifactCorruptError, NotFoundError) as error:
            log.warning("%s runs again: %s", job.name, error)
            return False
        return True


def _cache_key(job: StageJob[R]) -> str:
    return f"{job.name}-{job.key}"


def _task(body: Callable[[Any], str], job: StageJob[R], *, results: Path, refresh: bool) -> Task[[Any], str]:
    return Task(
        body,
        name=job.name,
        task_run_name=job.name,
        cache_policy=CacheKeyFnPolicy(cache_key_fn=lambda _context, parameters: _cache_key(parameters["job"])),
        persist_result=True,
        result_storage=results,
        result_serializer="json",
        refresh_cache=refresh,
        retries=RETRIES,
        retry_delay_seconds=RETRY_SECONDS,
        retry_condition_fn=_worth_another_try,
    )


def _worth_another_try(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Only what may well work later; a full disk does not empty itself in seconds."""
    error = state.data if isinstance(state.data, BaseException) else getattr(state.data, "result", None)
    return isinstance(error, TransientError) and not isinstance(error, StorageFullError)


def _discard_if_torn(path: Path) -> None:
    """Prefect writes a result in place: a kill at that moment leaves half of it, on which it would fail for ever."""
    try:
        json.loads(path.read_bytes())
    except FileNotFoundError:
        return
    except ValueError:
        log.warning("the kept result %s is torn: the stage runs again", path.name)
        path.unlink()
