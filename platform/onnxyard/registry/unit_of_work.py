"""One transaction on the registry's database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from onnxyard.registry.deployments import SqlDeployments
from onnxyard.registry.ledger import SqlAudit, SqlOutbox, SqlRuns
from onnxyard.registry.observations import SqlReplicas, SqlWindows
from onnxyard.registry.versions import SqlVersions

if TYPE_CHECKING:
    from types import TracebackType

    from sqlalchemy.orm import Session


class SqlUnitOfWork:
    """The port `UnitOfWork`: leaving the block always rolls back, so only `commit()` persists."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.versions = SqlVersions(session)
        self.deployments = SqlDeployments(session)
        self.windows = SqlWindows(session)
        self.replicas = SqlReplicas(session)
        self.audit = SqlAudit(session)
        self.outbox = SqlOutbox(session)
        self.runs = SqlRuns(session)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def commit(self) -> None:
        try:
            self._session.commit()
        except BaseException:
            # A COMMIT that fails leaves SQLite's transaction open, and SQLAlchemy takes it for ended: the pool would
            # hand it to the next unit of work with the changes in it. Closing the connection rolls them back.
            self._session.invalidate()
            raise
