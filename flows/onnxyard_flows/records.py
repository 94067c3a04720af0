"""What MLflow is told of a lifecycle, and when: nothing before something really runs."""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Self

from onnxyard.lifecycle.handover import DevelopResult, ExportResult, OptimizeResult, ValidateResult
from onnxyard_flows.search_record import tell_search

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from onnxyard.ports.recorder import LifecycleRecord, Recorder, StageRecord
    from onnxyard.project.project import Project
    from onnxyard.stages.kept import Result


class LifecycleRecorder:
    """The lifecycle's parent run, opened when the first stage runs: an unchanged second run leaves none."""

    def __init__(self, recorder: Recorder, project: Project, *, flow_run: str) -> None:
        self._recorder = recorder
        self._project = project
        self._flow_run = flow_run
        self._open = ExitStack()
        self._record: LifecycleRecord | None = None
        self._reused: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    @property
    def run_id(self) -> str | None:
        """The parent run's id; None before anything ran."""
        return self._record.run_id if self._record is not None else None

    def reused(self, stage: str, key: str) -> None:
        """A stage's result was reused: told in the parent run, if there comes to be one."""
        self._reused.append((stage, key))
        if self._record is not None:
            self._tell_reused(self._record)

    @contextmanager
    def stage(self, name: str, *, key: str = "") -> Iterator[StageRecord]:
        """A nested run for a stage that runs now."""
        record = self._opened()
        with record.stage(name) as stage:
            stage.tags({"onnxyard.reused": "false", "onnxyard.key": key})
            yield stage

    def _opened(self) -> LifecycleRecord:
        if self._record is None:
            tags = {
                "onnxyard.flow_run": self._flow_run,
                "onnxyard.source_digest": self._project.code_digest,
                "onnxyard.git_commit": self._project.git_commit or "",
            }
            self._record = self._open.enter_context(
                self._recorder.lifecycle(model=self._project.name, tags={k: v for k, v in tags.items() if v})
            )
            self._tell_reused(self._record)
        return self._record

    def _tell_reused(self, record: LifecycleRecord) -> None:
        while self._reused:
            name, key = self._reused.pop(0)
            with record.stage(name) as stage:
                stage.tags({"onnxyard.reused": "true", "onnxyard.key": key})


def tell_config(stage: StageRecord, project: Project, *sections: str) -> None:
    """The sections of the project file that a stage reads, as parameters (`develop.seed`)."""
    flat: dict[str, object] = {}
    for name, section in project.sections(*sections).items():
        _flatten(name, section, flat)
    stage.params(flat)


def tell_result(stage: StageRecord, result: Result, *, folder: Path) -> None:
    """What a stage found out; the files of its artifacts lie in `folder`."""
    match result:
        case DevelopResult():
            stage.params({"framework": result.framework, "data_fingerprint": result.data_fingerprint})
            stage.params({f"rows.{split}": count for split, count in result.rows.items()})
            stage.metrics({f"validation.{name}": value for name, value in result.quality.items()})
        case ExportResult():
            stage.params({"exporter": result.exporter, "opset": result.opset, "ir_version": result.ir_version})
            stage.metrics({"nodes": float(result.nodes), "max_error": result.max_error})
            stage.tags({f"onnxyard.remedy.{number}": each for number, each in enumerate(result.remedies, 1)})
            stage.tags({f"onnxyard.finding.{each.code}": each.what for each in result.findings})
        case OptimizeResult():
            tell_search(stage, result, report=folder / "report")
        case ValidateResult():
            stage.metrics({gate.name: gate.observed for gate in result.gates if math.isfinite(gate.observed)})
            stage.tags({f"onnxyard.gate.{gate.name}": gate.outcome.value for gate in result.gates})


def _flatten(name: str, value: object, into: dict[str, object]) -> None:
    if isinstance(value, dict):
        for key, entry in value.items():
            _flatten(f"{name}.{key}", entry, into)
    elif value is not None:
        into[name] = value
