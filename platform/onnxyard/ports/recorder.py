"""Runs, parameters, metrics, plots and ONNX models for people to look at (MLflow is the adapter)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from onnxyard.lifecycle.signature import Signature


class StageRecord(Protocol):
    """One stage's run, nested in the lifecycle's."""

    def params(self, values: Mapping[str, object]) -> None:
        """Record parameters; values are shown as text."""
        ...

    def metrics(self, values: Mapping[str, float], *, step: int | None = None) -> None:
        """Record metrics, of one step where `step` is given."""
        ...

    def tags(self, values: Mapping[str, str]) -> None:
        """Record tags."""
        ...

    def file(self, path: Path, *, folder: str = "") -> None:
        """Keep a file (a plot, a report) with the run, below `folder`."""
        ...

    def model(self, model_file: Path, *, name: str, signature: Signature, tags: Mapping[str, str]) -> str:
        """Log `model_file` (ONNX) with its signature, register it under `name`; returns the registered version."""
        ...


class LifecycleRecord(Protocol):
    """One lifecycle's parent run."""

    @property
    def run_id(self) -> str:
        """The parent run's id."""
        ...

    def stage(self, name: str) -> AbstractContextManager[StageRecord]:
        """A nested run, ended as FINISHED, or as FAILED when the block raises."""
        ...


class Recorder(Protocol):
    """Where lifecycles are recorded. Serving never needs it."""

    def check(self) -> None:
        """Raise UnreachableError, with the address and what to do, when recording would not work now."""
        ...

    def lifecycle(self, *, model: str, tags: Mapping[str, str]) -> AbstractContextManager[LifecycleRecord]:
        """A parent run in the experiment named after the model, ended as FINISHED, or FAILED when the block raises."""
        ...

    def set_alias(self, *, model: str, alias: str, version: str) -> None:
        """Point `models:/model@alias` at the registered version. Idempotent. Raises UnreachableError, NotFoundError."""
        ...
