"""Lifecycle runs: what is under way, how it ended, and which process went away without a word."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

from onnxyard.ports.unit_of_work import LifecycleRun, RunState

if TYPE_CHECKING:
    from datetime import datetime

    from onnxyard.ports.unit_of_work import UnitOfWorkFactory


def this_process() -> str:
    """`host:pid` of the caller."""
    return f"{socket.gethostname()}:{os.getpid()}"


def begin(
    unit_of_work: UnitOfWorkFactory, *, run_id: str, model: str, now: datetime, process: str | None = None
) -> LifecycleRun:
    """Write down that a run has started. Raises UnreachableError, StorageFullError."""
    run = LifecycleRun(
        id=run_id,
        model=model,
        state=RunState.RUNNING,
        process=process or this_process(),
        started_at=now,
        ended_at=None,
        version=None,
        detail="",
    )
    _save(unit_of_work, run)
    return run


def end(
    unit_of_work: UnitOfWorkFactory,
    run: LifecycleRun,
    *,
    state: RunState,
    now: datetime,
    version: int | None = None,
    detail: str = "",
) -> LifecycleRun:
    """Write down how it ended. Raises UnreachableError, StorageFullError."""
    ended = replace(run, state=state, ended_at=now, version=version, detail=detail)
    _save(unit_of_work, ended)
    return ended


def reconcile(unit_of_work: UnitOfWorkFactory, *, now: datetime, model: str | None = None) -> tuple[LifecycleRun, ...]:
    """Mark the runs of this host whose process is gone as abandoned; returns them.

    Runs of other hosts are left alone: whether their process lives cannot be seen from here.

    Args:
        unit_of_work: The registry.
        now: When it was found out (UTC).
        model: Look at this model's runs only; at all where it is None.
    """
    with unit_of_work() as work:
        gone = tuple(
            replace(run, state=RunState.ABANDONED, ended_at=now, detail="its process ended without a word")
            for run in work.runs.running()
            if (model is None or run.model == model) and _gone(run.process)
        )
        for run in gone:
            work.runs.save(run)
        work.commit()
    return gone


def _gone(process: str) -> bool:
    host, _, number = process.rpartition(":")
    if host != socket.gethostname() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # it lives, as somebody else's
    return False


def _save(unit_of_work: UnitOfWorkFactory, run: LifecycleRun) -> None:
    with unit_of_work() as work:
        work.runs.save(run)
        work.commit()
