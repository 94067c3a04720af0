"""The registry as operations see it: repositories inside one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType

    from onnxyard.lifecycle.deployment import Deployment, ReplicaReport
    from onnxyard.lifecycle.version import ModelVersion, VersionDraft
    from onnxyard.lifecycle.window import Window


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change of state, appended in the transaction that made the change.

    Attributes:
        sequence: Grows by one with every entry of the registry.
        at: When (UTC).
        actor: Who, as `user@host` or a service's name.
        action: As `version.register`, `endpoint.deploy`, `endpoint.rollback`.
        subject: As `digits@3` or `endpoint:digits`.
        detail: JSON-compatible facts.
    """

    sequence: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, object]


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """Something the world must hear of, committed with the change and delivered afterwards.

    Attributes:
        number: Grows with every message; messages of one topic and key are delivered in order.
        topic: As `mlflow.alias`.
        key: What it is about, as the model's name; a later message of the same topic and key replaces an earlier one.
        payload: JSON-compatible facts.
        attempts: Deliveries tried so far.
        last_error: What the last one met; empty before.
        created_at: When (UTC).
    """

    number: int
    topic: str
    key: str
    payload: dict[str, object]
    attempts: int
    last_error: str
    created_at: datetime


class RunState(StrEnum):
    """What a lifecycle run is doing, or how it ended."""

    RUNNING = "running"
    FINISHED = "finished"
    REJECTED = "rejected"
    """A gate failed; the version is registered and nothing was deployed."""
    FAILED = "failed"
    ABANDONED = "abandoned"
    """Its process is gone and nobody said how it ended."""


@dataclass(frozen=True, slots=True)
class LifecycleRun:
    """One `onnxyard run`: what it is doing or how it ended. Prefect may show a killed run as running; this row decides.

    Attributes:
        id: The flow run's id.
        model: The model's name.
        state: `running`, `finished`, `rejected` (a gate failed), `failed` or `abandoned` (its process is gone).
        process: `host:pid` that runs it.
        started_at: When (UTC).
        ended_at: When (UTC); None while it runs.
        version: The version it led to, if any.
        detail: The error's one line; empty otherwise.
    """

    id: str
    model: str
    state: str
    process: str
    started_at: datetime
    ended_at: datetime | None
    version: int | None
    detail: str


class Versions(Protocol):
    """Model versions."""

    def add(self, draft: VersionDraft, *, at: datetime) -> ModelVersion:
        """Give the draft the model's next number. A key that is already there raises ConflictError."""
        ...

    def by_key(self, model: str, key: str) -> ModelVersion | None:
        """The version registered under that key, or None."""
        ...

    def get(self, model: str, number: int) -> ModelVersion:
        """One version. Raises NotFoundError, naming the versions there are."""
        ...

    def of_model(self, model: str) -> tuple[ModelVersion, ...]:
        """All versions of a model, newest first; empty for an unknown model."""
        ...

    def models(self) -> tuple[str, ...]:
        """Names of all models, sorted."""
        ...


class Deployments(Protocol):
    """Endpoints and their append-only generations."""

    def endpoints(self) -> tuple[str, ...]:
        """Names of all endpoints, sorted."""
        ...

    def generation(self, endpoint: str) -> int:
        """The endpoint's current generation; 0 where there is no such endpoint."""
        ...

    def advance(self, endpoint: str, *, model: str, expected: int, at: datetime) -> int:
        """Compare-and-swap: move from `expected` to `expected + 1` and return it; the endpoint is made when it is 0.

        Raises ConflictError, naming the present generation, when it is not `expected`.
        """
        ...

    def add(self, deployment: Deployment) -> None:
        """Append one role of a generation."""
        ...

    def current(self, endpoint: str) -> tuple[Deployment, ...]:
        """The roles of the current generation, champion first; empty where there is none."""
        ...

    def history(self, endpoint: str) -> tuple[Deployment, ...]:
        """Everything that ever was, newest first."""
        ...


class Windows(Protocol):
    """Drift windows."""

    def add(self, window: Window) -> None:
        """Append a window; the same endpoint and sequence range twice raises ConflictError."""
        ...

    def of_endpoint(self, endpoint: str, *, limit: int = 50) -> tuple[Window, ...]:
        """The latest windows, newest first."""
        ...


class Replicas(Protocol):
    """What serving replicas say of themselves."""

    def report(self, report: ReplicaReport) -> None:
        """Insert or replace the row of (replica, endpoint)."""
        ...

    def of_endpoint(self, endpoint: str) -> tuple[ReplicaReport, ...]:
        """All reports of an endpoint, newest first."""
        ...


class Audit(Protocol):
    """The append-only history."""

    def add(self, *, at: datetime, actor: str, action: str, subject: str, detail: dict[str, object]) -> None:
        """Append an entry."""
        ...

    def entries(self, *, limit: int = 100) -> tuple[AuditEntry, ...]:
        """The latest entries, newest first."""
        ...


class Outbox(Protocol):
    """Messages to the world."""

    def add(self, *, topic: str, key: str, payload: dict[str, object], at: datetime) -> None:
        """Append a message."""
        ...

    def pending(self, *, topic: str) -> tuple[OutboxMessage, ...]:
        """Undelivered messages, oldest first, leaving out those that a later one of the same key replaces."""
        ...

    def delivered(self, number: int, *, at: datetime) -> None:
        """Mark a message, and the earlier ones of its topic and key, as delivered."""
        ...

    def failed(self, number: int, *, error: str) -> None:
        """Count an attempt."""
        ...


class Runs(Protocol):
    """Lifecycle runs."""

    def save(self, run: LifecycleRun) -> None:
        """Insert or replace by id."""
        ...

    def of_model(self, model: str, *, limit: int = 20) -> tuple[LifecycleRun, ...]:
        """The latest runs, newest first."""
        ...

    def running(self) -> tuple[LifecycleRun, ...]:
        """Runs whose state is `running`."""
        ...


class UnitOfWork(Protocol):
    """One transaction: leaving the block always rolls back, so only an explicit `commit()` persists.

    Every method may raise UnreachableError (the database does not answer) and StorageFullError.
    """

    @property
    def versions(self) -> Versions: ...
    @property
    def deployments(self) -> Deployments: ...
    @property
    def windows(self) -> Windows: ...
    @property
    def replicas(self) -> Replicas: ...
    @property
    def audit(self) -> Audit: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def runs(self) -> Runs: ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def commit(self) -> None:
        """Persist everything done in the block. Raises ConflictError, UnreachableError or StorageFullError."""
        ...


class UnitOfWorkFactory(Protocol):
    """Opens units of work on one registry."""

    def __call__(self) -> UnitOfWork: ...
