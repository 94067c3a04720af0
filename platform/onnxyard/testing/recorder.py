"""A recorder in memory."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from onnxyard.errors import NotFoundError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onnxyard.lifecycle.signature import Signature


@dataclass
class RecordedRun:
    """One run as told.

    Attributes:
        run_id: Its id.
        name: The model's name for a lifecycle, the stage's name for a stage.
        parent: The lifecycle's run id for a stage; None for a lifecycle.
        status: `RUNNING`, then `FINISHED`, `FAILED` or `KILLED`.
        params: As text.
        metrics: Name to (step, value) in the order told.
        tags: As told.
        files: Paths below the run, as `plots/loss.png`.
    """

    run_id: str
    name: str
    parent: str | None
    status: str = "RUNNING"
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


class InMemoryRecorder:
    """The port `Recorder`, kept in this process.

    Attributes:
        runs: Every run by id, in the order they began.
        models: Registered models: name to the bytes of version 1, 2, ...
        aliases: (model, alias) to version.
        away: Set it, and every call raises UnreachableError as it would with a server that is gone.
    """

    def __init__(self) -> None:
        self.runs: dict[str, RecordedRun] = {}
        self.models: dict[str, list[bytes]] = {}
        self.aliases: dict[tuple[str, str], str] = {}
        self.away = False

    def check(self) -> None:
        """Raise UnreachableError where `away` is set."""
        if self.away:
            raise UnreachableError("The recorder does not answer: it was told to be away.", where="memory")

    @contextmanager
    def lifecycle(self, *, model: str, tags: Mapping[str, str]) -> Iterator[_Lifecycle]:
        """A parent run."""
        with self.run(model, parent=None) as run:
            run.tags.update(tags)
            yield _Lifecycle(self, run)

    def set_alias(self, *, model: str, alias: str, version: str) -> None:
        """Point the alias at a registered version."""
        self.check()
        if not 0 < int(version) <= len(self.models.get(model, [])):
            raise NotFoundError(f"The recorder knows no {model} version {version}.")
        self.aliases[model, alias] = version

    @contextmanager
    def run(self, name: str, *, parent: str | None) -> Iterator[RecordedRun]:
        """A run that ends as its block does."""
        self.check()
        run = RecordedRun(f"run-{len(self.runs) + 1}", name, parent)
        self.runs[run.run_id] = run
        try:
            yield run
        except Exception:
            run.status = "FAILED"
            raise
        except BaseException:
            run.status = "KILLED"
            raise
        run.status = "FINISHED"


class _Lifecycle:
    def __init__(self, recorder: InMemoryRecorder, run: RecordedRun) -> None:
        self._recorder = recorder
        self.run_id = run.run_id

    @contextmanager
    def stage(self, name: str) -> Iterator[_Stage]:
        with self._recorder.run(name, parent=self.run_id) as run:
            yield _Stage(self._recorder, run)


class _Stage:
    def __init__(self, recorder: InMemoryRecorder, run: RecordedRun) -> None:
        self._recorder = recorder
        self._run = run

    def params(self, values: Mapping[str, object]) -> None:
        self._recorder.check()
        self._run.params.update({name: str(value) for name, value in values.items()})

    def metrics(self, values: Mapping[str, float], *, step: int | None = None) -> None:
        self._recorder.check()
        for name, value in values.items():
            self._run.metrics.setdefault(name, []).append((step or 0, value))

    def tags(self, values: Mapping[str, str]) -> None:
        self._recorder.check()
        self._run.tags.update(values)

    def file(self, path: Path, *, folder: str = "") -> None:
        self._recorder.check()
        self._run.files[(Path(folder) / path.name).as_posix()] = path.read_bytes()

    def model(self, model_file: Path, *, name: str, signature: Signature, tags: Mapping[str, str]) -> str:  # noqa: ARG002 - kept by the real one
        self._recorder.check()
        versions = self._recorder.models.setdefault(name, [])
        versions.append(model_file.read_bytes())
        return str(len(versions))
