"""One run of a project at a time: a lock that the operating system takes back when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from onnxyard.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def project_lock(folder: Path, model: str, *, now: datetime) -> Iterator[None]:
    """Hold the model's lock in `folder`.

    Raises:
        ConflictError: another process holds it; `facts` name its `pid`, `host` and `since`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{model}.lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _conflict(path, model) from None
        file.truncate(0)
        json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": now.isoformat()}, file)
        file.flush()
        yield


def _conflict(path: Path, model: str) -> ConflictError:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        since = datetime.fromisoformat(holder["since"]).astimezone(UTC)
        told = f"process {holder['pid']} on {holder['host']}, since {since:%H:%M:%S} UTC"
    except (ValueError, KeyError):  # it has only just taken the lock
        holder, told = {}, "a process that has only just started"
    return ConflictError(
        f"A run of {model} is under way: {told}.",
        where=str(path),
        remedy="Wait for it, or end it.",
        **holder,
    )
