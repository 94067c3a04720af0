"""Record what a serving replica says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxyard.lifecycle.deployment import ReplicaReport
    from onnxyard.ports.unit_of_work import UnitOfWorkFactory


def report(unit_of_work: UnitOfWorkFactory, said: ReplicaReport) -> None:
    """Replace the replica's last report. An observation and no change of state: it leaves no audit row.

    Raises NotFoundError (no such endpoint), UnreachableError, StorageFullError.
    """
    with unit_of_work() as work:
        work.replicas.report(said)
        work.commit()
