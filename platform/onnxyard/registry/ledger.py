"""What the registry keeps of its own doings: audit, outbox and lifecycle runs, in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.orm import aliased

from onnxyard.ports.unit_of_work import RunState
from onnxyard.registry.mapping import audit_of, message_of, run_of
from onnxyard.registry.tables import AuditRow, OutboxRow, RunRow

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from onnxyard.ports.unit_of_work import AuditEntry, LifecycleRun, OutboxMessage

_AUDIT_LOCK = 0x0A0D17
"""The key of PostgreSQL's advisory lock that writers of the audit queue on until they commit."""


class SqlAudit:
    """The port `Audit`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, *, at: datetime, actor: str, action: str, subject: str, detail: dict[str, object]) -> None:
        # A database sequence leaves a gap wherever a transaction rolls back, and a gap in an audit looks like a
        # removed entry: so writers queue and count. On SQLite the INSERT takes the one write lock before it counts.
        if self._session.get_bind().dialect.name == "postgresql":
            self._session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _AUDIT_LOCK})
        following = select(func.coalesce(func.max(AuditRow.sequence), 0) + 1).scalar_subquery()
        self._session.execute(
            insert(AuditRow).values(
                sequence=following, at=at, actor=actor, action=action, subject=subject, detail=dict(detail)
            )
        )

    def entries(self, *, limit: int = 100) -> tuple[AuditEntry, ...]:
        rows = self._session.scalars(select(AuditRow).order_by(AuditRow.sequence.desc()).limit(limit))
        return tuple(audit_of(row) for row in rows)


class SqlOutbox:
    """The port `Outbox`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, *, topic: str, key: str, payload: dict[str, object], at: datetime) -> None:
        self._session.add(
            OutboxRow(topic=topic, key=key, payload=dict(payload), attempts=0, last_error="", created_at=at)
        )
        self._session.flush()

    def pending(self, *, topic: str) -> tuple[OutboxMessage, ...]:
        later = aliased(OutboxRow)
        replaced = (
            select(later.number)
            .where(later.topic == OutboxRow.topic, later.key == OutboxRow.key, later.number > OutboxRow.number)
            .exists()
        )
        rows = self._session.scalars(
            select(OutboxRow)
            .where(OutboxRow.topic == topic, OutboxRow.delivered_at.is_(None), ~replaced)
            .order_by(OutboxRow.number)
            .execution_options(populate_existing=True)
        )
        return tuple(message_of(row) for row in rows)

    def delivered(self, number: int, *, at: datetime) -> None:
        message = self._session.execute(
            select(OutboxRow.topic, OutboxRow.key).where(OutboxRow.number == number)
        ).one_or_none()
        if message is None:
            return
        self._session.execute(
            update(OutboxRow)
            .where(
                OutboxRow.topic == message.topic,
                OutboxRow.key == message.key,
                OutboxRow.number <= number,
                OutboxRow.delivered_at.is_(None),
            )
            .values(delivered_at=at)
        )

    def failed(self, number: int, *, error: str) -> None:
        self._session.execute(
            update(OutboxRow)
            .where(OutboxRow.number == number)
            .values(attempts=OutboxRow.attempts + 1, last_error=error)
        )


class SqlRuns:
    """The port `Runs`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def save(self, run: LifecycleRun) -> None:
        self._session.merge(
            RunRow(
                id=run.id,
                model=run.model,
                state=RunState(run.state),
                process=run.process,
                started_at=run.started_at,
                ended_at=run.ended_at,
                version=run.version,
                detail=run.detail,
            )
        )
        self._session.flush()

    def of_model(self, model: str, *, limit: int = 20) -> tuple[LifecycleRun, ...]:
        rows = self._session.scalars(
            select(RunRow).where(RunRow.model == model).order_by(RunRow.started_at.desc(), RunRow.id).limit(limit)
        )
        return tuple(run_of(row) for row in rows)

    def running(self) -> tuple[LifecycleRun, ...]:
        rows = self._session.scalars(
            select(RunRow).where(RunRow.state == RunState.RUNNING).order_by(RunRow.started_at, RunRow.id)
        )
        return tuple(run_of(row) for row in rows)
