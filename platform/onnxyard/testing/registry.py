"""A registry in memory, with the transactions that the SQL one has on SQLite."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, fields, replace
from threading import Lock
from typing import TYPE_CHECKING, Self

from onnxyard.errors import ConflictError, InvalidRequestError, NotFoundError, UnreachableError
from onnxyard.lifecycle.deployment import Deployment, ReplicaReport, Role
from onnxyard.lifecycle.version import ModelVersion, VersionStatus
from onnxyard.lifecycle.window import Window
from onnxyard.ports.unit_of_work import AuditEntry, LifecycleRun, OutboxMessage, RunState

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from onnxyard.lifecycle.version import VersionDraft

BUSY_SECONDS = 30.0


@dataclass
class _State:
    versions: dict[str, list[ModelVersion]] = field(default_factory=dict)
    endpoints: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Endpoint to its model and generation."""
    deployments: list[Deployment] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    replicas: dict[tuple[str, str], ReplicaReport] = field(default_factory=dict)
    audit: list[AuditEntry] = field(default_factory=list)
    outbox: list[OutboxMessage] = field(default_factory=list)
    delivered: set[int] = field(default_factory=set)
    runs: dict[str, LifecycleRun] = field(default_factory=dict)

    def copied(self) -> _State:
        return _State(**{f.name: copy(getattr(self, f.name)) for f in fields(self)})


class InMemoryRegistry:
    """The port `UnitOfWorkFactory`; threads may share it.

    Reads see what is committed; a unit of work that writes is alone until it is left.
    """

    def __init__(self) -> None:
        self._state = _State()
        self._writer = Lock()

    def __call__(self) -> InMemoryUnitOfWork:
        return InMemoryUnitOfWork(self)


class InMemoryUnitOfWork:
    """The port `UnitOfWork`."""

    def __init__(self, registry: InMemoryRegistry) -> None:
        self._registry = registry
        self._own: _State | None = None
        self.versions = _Versions(self)
        self.deployments = _Deployments(self)
        self.windows = _Windows(self)
        self.replicas = _Replicas(self)
        self.audit = _Audit(self)
        self.outbox = _Outbox(self)
        self.runs = _Runs(self)

    @property
    def seen(self) -> _State:
        """What a read sees: the own changes, or what is committed."""
        return self._registry._state if self._own is None else self._own  # noqa: SLF001 - the two are one

    @property
    def changed(self) -> _State:
        """What a write changes. The first one waits until no other unit of work is writing."""
        if self._own is None:
            if not self._registry._writer.acquire(timeout=BUSY_SECONDS):  # noqa: SLF001 - the two are one
                raise UnreachableError("Another unit of work has been writing for too long.")
            own = self._registry._state.copied()  # noqa: SLF001 - the two are one
            for versions in own.versions:
                own.versions[versions] = list(own.versions[versions])
            self._own = own
        return self._own

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def commit(self) -> None:
        if self._own is not None:
            self._registry._state = self._own  # noqa: SLF001 - the two are one
            self._leave()

    def _leave(self) -> None:
        if self._own is not None:
            self._own = None
            self._registry._writer.release()  # noqa: SLF001 - the two are one


class _Repository:
    def __init__(self, work: InMemoryUnitOfWork) -> None:
        self._work = work

    @property
    def _seen(self) -> _State:
        return self._work.seen

    @property
    def _changed(self) -> _State:
        return self._work.changed

    def _require_endpoint(self, endpoint: str) -> None:
        if endpoint not in self._seen.endpoints:
            raise NotFoundError(f"There is no endpoint {endpoint}.", endpoint=endpoint)

    def _require_version(self, model: str, number: int) -> None:
        if not 1 <= number <= len(self._seen.versions.get(model, ())):
            raise NotFoundError(f"There is no version {model}@{number}.", model=model, version=number)


class _Versions(_Repository):
    def add(self, draft: VersionDraft, *, at: datetime) -> ModelVersion:
        if draft.verdict is VersionStatus.LIVE:
            raise ConflictError("The registry refuses the change: a verdict is validated or rejected.")
        _aware(at)
        known = self._changed.versions.setdefault(draft.model, [])
        if any(version.draft.key == draft.key for version in known):
            raise ConflictError(f"A version of {draft.model} is registered under this key already.")
        version = ModelVersion(len(known) + 1, at, draft)
        known.append(version)
        return version

    def by_key(self, model: str, key: str) -> ModelVersion | None:
        return next((v for v in self._seen.versions.get(model, ()) if v.draft.key == key), None)

    def get(self, model: str, number: int) -> ModelVersion:
        self._require_version(model, number)
        return self._seen.versions[model][number - 1]

    def of_model(self, model: str) -> tuple[ModelVersion, ...]:
        return tuple(reversed(self._seen.versions.get(model, ())))

    def models(self) -> tuple[str, ...]:
        return tuple(sorted(self._seen.versions))


class _Deployments(_Repository):
    def endpoints(self) -> tuple[str, ...]:
        return tuple(sorted(self._seen.endpoints))

    def generation(self, endpoint: str) -> int:
        return self._seen.endpoints.get(endpoint, ("", 0))[1]

    def advance(self, endpoint: str, *, model: str, expected: int, at: datetime) -> int:
        _aware(at)
        if model not in self._seen.versions:
            raise NotFoundError(f"There is no model {model}.", model=model)
        serves, generation = self._changed.endpoints.get(endpoint, (model, 0))
        if serves != model:
            raise ConflictError(f"Endpoint {endpoint} serves the model {serves}.", endpoint=endpoint, model=serves)
        if generation != expected:
            raise ConflictError(
                f"Endpoint {endpoint} is at generation {generation}, not {expected}.", generation=generation
            )
        self._changed.endpoints[endpoint] = (model, expected + 1)
        return expected + 1

    def add(self, deployment: Deployment) -> None:
        self._require_endpoint(deployment.endpoint)
        self._require_version(deployment.model, deployment.version)
        place = (deployment.endpoint, deployment.generation, deployment.role)
        if any((d.endpoint, d.generation, d.role) == place for d in self._changed.deployments):
            raise ConflictError(f"The registry refuses the change: {place} is taken.")
        self._changed.deployments.append(deployment)

    def current(self, endpoint: str) -> tuple[Deployment, ...]:
        generation = self.generation(endpoint)
        return tuple(d for d in self.history(endpoint) if d.generation == generation)

    def history(self, endpoint: str) -> tuple[Deployment, ...]:
        order = list(Role)
        return tuple(
            sorted(
                (d for d in self._seen.deployments if d.endpoint == endpoint),
                key=lambda d: (-d.generation, order.index(d.role)),
            )
        )


class _Windows(_Repository):
    def add(self, window: Window) -> None:
        self._require_endpoint(window.endpoint)
        self._require_version(window.model, window.version)
        for time in (window.started_at, window.ended_at, window.created_at):
            _aware(time)
        place = (window.endpoint, window.first_sequence, window.last_sequence)
        if any((w.endpoint, w.first_sequence, w.last_sequence) == place for w in self._changed.windows):
            raise ConflictError(f"The window {place[1]} to {place[2]} of {window.endpoint} is recorded.")
        self._changed.windows.append(window)

    def of_endpoint(self, endpoint: str, *, limit: int = 50) -> tuple[Window, ...]:
        found = [w for w in reversed(self._seen.windows) if w.endpoint == endpoint]
        return tuple(sorted(found, key=lambda w: w.created_at, reverse=True)[:limit])


class _Replicas(_Repository):
    def report(self, report: ReplicaReport) -> None:
        self._require_endpoint(report.endpoint)
        _aware(report.seen_at)
        self._changed.replicas[report.replica, report.endpoint] = report

    def of_endpoint(self, endpoint: str) -> tuple[ReplicaReport, ...]:
        found = sorted((r for r in self._seen.replicas.values() if r.endpoint == endpoint), key=lambda r: r.replica)
        return tuple(sorted(found, key=lambda r: r.seen_at, reverse=True))


class _Audit(_Repository):
    def add(self, *, at: datetime, actor: str, action: str, subject: str, detail: dict[str, object]) -> None:
        _aware(at)
        entries = self._changed.audit
        entries.append(AuditEntry(len(entries) + 1, at, actor, action, subject, dict(detail)))

    def entries(self, *, limit: int = 100) -> tuple[AuditEntry, ...]:
        return tuple(reversed(self._seen.audit))[:limit]


class _Outbox(_Repository):
    def add(self, *, topic: str, key: str, payload: dict[str, object], at: datetime) -> None:
        _aware(at)
        messages = self._changed.outbox
        messages.append(OutboxMessage(len(messages) + 1, topic, key, dict(payload), 0, "", at))

    def pending(self, *, topic: str) -> tuple[OutboxMessage, ...]:
        newest = {m.key: m for m in self._seen.outbox if m.topic == topic}
        waiting = [m for m in newest.values() if m.number not in self._seen.delivered]
        return tuple(sorted(waiting, key=lambda m: m.number))

    def delivered(self, number: int, *, at: datetime) -> None:
        _aware(at)
        done = next((m for m in self._changed.outbox if m.number == number), None)
        if done is not None:
            self._changed.delivered |= {
                m.number
                for m in self._changed.outbox
                if (m.topic, m.key) == (done.topic, done.key) and m.number <= number
            }

    def failed(self, number: int, *, error: str) -> None:
        self._changed.outbox[:] = [
            replace(m, attempts=m.attempts + 1, last_error=error) if m.number == number else m
            for m in self._changed.outbox
        ]


class _Runs(_Repository):
    def save(self, run: LifecycleRun) -> None:
        _aware(run.started_at)
        self._changed.runs[run.id] = replace(run, state=RunState(run.state))

    def of_model(self, model: str, *, limit: int = 20) -> tuple[LifecycleRun, ...]:
        found = sorted((r for r in self._seen.runs.values() if r.model == model), key=lambda r: r.id)
        return tuple(sorted(found, key=lambda r: r.started_at, reverse=True)[:limit])

    def running(self) -> tuple[LifecycleRun, ...]:
        found = (r for r in self._seen.runs.values() if r.state == RunState.RUNNING)
        return tuple(sorted(found, key=lambda r: (r.started_at, r.id)))


def _aware(time: datetime) -> None:
    if time.tzinfo is None:
        raise InvalidRequestError(f"The registry takes aware times only, not {time!r}.")
