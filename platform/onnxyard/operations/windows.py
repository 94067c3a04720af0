"""Record a drift window."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from onnxyard.lifecycle.window import Window
    from onnxyard.ports.unit_of_work import UnitOfWorkFactory


def record_window(unit_of_work: UnitOfWorkFactory, window: Window, *, actor: str, now: datetime) -> None:
    """Append a window with its audit row. Its report must be in the artifact store already.

    Raises:
        NotFoundError: no such endpoint or version.
        ConflictError: the window was recorded before.
        UnreachableError, StorageFullError: the registry could not be written; nothing was.
    """
    with unit_of_work() as work:
        work.windows.add(window)
        work.audit.add(
            at=now,
            actor=actor,
            action="window.record",
            subject=f"endpoint:{window.endpoint}",
            detail={
                "model": window.model,
                "version": window.version,
                "first_sequence": window.first_sequence,
                "last_sequence": window.last_sequence,
                "rows": window.rows,
                "verdict": window.verdict.value,
            },
        )
        work.commit()
