"""One measurement at a time on a machine, and none while candidates are being made on it."""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = "onnxyard-measuring.lock"


class _Waiting:
    """How long this process stood waiting; threads that wait together count once."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._threads, self._since, self._total = 0, 0.0, 0.0

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self._guard:
            if not self._threads:
                self._since = time.monotonic()
            self._threads += 1
        try:
            yield
        finally:
            with self._guard:
                self._threads -= 1
                if not self._threads:
                    self._total += time.monotonic() - self._since

    def seconds(self) -> float:
        with self._guard:
            return self._total + (time.monotonic() - self._since if self._threads else 0.0)


_WAITING = _Waiting()


def working_seconds() -> float:
    """A clock that stands still while this process waits for others' measurements: a budget is not theirs to spend."""
    return time.monotonic() - _WAITING.seconds()


@contextmanager
def measuring_alone() -> Iterator[None]:
    """Wait until nobody measures or makes candidates on this machine, and keep everybody from it meanwhile."""
    with _locked(fcntl.LOCK_EX):
        yield


@contextmanager
def working_beside() -> Iterator[None]:
    """Work that would disturb a measurement: any number at a time, never beside one."""
    with _locked(fcntl.LOCK_SH):
        yield


@contextmanager
def _locked(kind: int) -> Iterator[None]:
    path = Path(tempfile.gettempdir(), _LOCK)
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except PermissionError:  # another user's: a sticky folder may refuse to open it for writing
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        with _WAITING.counted():
            fcntl.flock(lock, kind)
        yield
    finally:
        os.close(lock)
