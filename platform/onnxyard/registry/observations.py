"""What is seen of an endpoint in operation: its replicas' reports and its drift windows, in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from onnxyard.errors import ConflictError, NotFoundError
from onnxyard.registry.inserts import insert_if_absent
from onnxyard.registry.mapping import replica_of, replica_values, window_of, window_row
from onnxyard.registry.tables import EndpointRow, ModelRow, ReplicaRow, VersionRow, WindowRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from onnxyard.lifecycle.deployment import ReplicaReport
    from onnxyard.lifecycle.window import Window


class SqlReplicas:
    """The port `Replicas`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def report(self, report: ReplicaReport) -> None:
        endpoint_id = _endpoint_id(self._session, report.endpoint)
        values = replica_values(report)
        filed = {"replica": report.replica, "endpoint_id": endpoint_id}
        if not insert_if_absent(self._session, ReplicaRow, **filed, **values):
            self._session.execute(update(ReplicaRow).filter_by(**filed).values(**values))

    def of_endpoint(self, endpoint: str) -> tuple[ReplicaReport, ...]:
        rows = self._session.scalars(
            select(ReplicaRow)
            .join(EndpointRow, ReplicaRow.endpoint_id == EndpointRow.id)
            .where(EndpointRow.name == endpoint)
            .order_by(ReplicaRow.seen_at.desc(), ReplicaRow.replica)
            # A row read earlier in this unit of work may have been replaced since by a plain UPDATE.
            .execution_options(populate_existing=True)
        )
        return tuple(replica_of(row, endpoint=endpoint) for row in rows)


class SqlWindows:
    """The port `Windows`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, window: Window) -> None:
        endpoint_id = _endpoint_id(self._session, window.endpoint)
        version_id = self._session.scalar(
            select(VersionRow.id)
            .join(ModelRow)
            .where(ModelRow.name == window.model, VersionRow.number == window.version)
        )
        if version_id is None:
            raise NotFoundError(f"There is no version {window.model}@{window.version}.", model=window.model)
        same = select(WindowRow.id).where(
            WindowRow.endpoint_id == endpoint_id,
            WindowRow.first_sequence == window.first_sequence,
            WindowRow.last_sequence == window.last_sequence,
        )
        if self._session.scalar(same) is not None:
            raise ConflictError(
                f"The window {window.first_sequence} to {window.last_sequence} of {window.endpoint} is recorded.",
                where=f"endpoint {window.endpoint}",
            )
        self._session.add(window_row(window, endpoint_id=endpoint_id, version_id=version_id))
        self._session.flush()

    def of_endpoint(self, endpoint: str, *, limit: int = 50) -> tuple[Window, ...]:
        found = self._session.execute(
            select(WindowRow, ModelRow.name, VersionRow.number)
            .join(EndpointRow, WindowRow.endpoint_id == EndpointRow.id)
            .join(VersionRow, WindowRow.version_id == VersionRow.id)
            .join(ModelRow, VersionRow.model_id == ModelRow.id)
            .where(EndpointRow.name == endpoint)
            .order_by(WindowRow.created_at.desc(), WindowRow.id.desc())
            .limit(limit)
        )
        return tuple(window_of(row, endpoint=endpoint, model=model, version=number) for row, model, number in found)


def _endpoint_id(session: Session, endpoint: str) -> int:
    found = session.scalar(select(EndpointRow.id).where(EndpointRow.name == endpoint))
    if found is None:
        raise NotFoundError(f"There is no endpoint {endpoint}.", remedy="See them with: onnxyard status")
    return found
