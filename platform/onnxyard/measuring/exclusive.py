"""One measurement at a time on a machine, and none while candidates are being made on it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = "onnxyard-measuring.lock"


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
        fcntl.flock(lock, kind)
        yield
    finally:
        os.close(lock)
