"""Where files are written before they get their name, and what a disk says when it takes no more."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from onnxyard.disk import is_full
from onnxyard.errors import InvalidRequestError, StorageFullError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_PREFIX = ".staging-"
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR})


class Staging:
    """A folder for one writer, removed when the block is left. It holds a lock while its process lives, so that the
    next writer can tell a dead one's leftovers from work in progress, and sweep them.

    Args:
        parent: On the same file system as the files' final place, so that a rename suffices; made if missing.
    """  # noqa: D205 - the first sentence needs the second

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._taken = 0

    def __enter__(self) -> Self:
        self._parent.mkdir(parents=True, exist_ok=True)
        for leftover in self._parent.glob(f"{_PREFIX}*"):
            _sweep(leftover)
        while not self._settle():
            pass
        return self

    def _settle(self) -> bool:
        """Make the folder and lock it; False where a sweeper took it for a leftover in between."""
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
        try:
            self._lock = os.open(self._folder, os.O_RDONLY)
        except FileNotFoundError:
            return False
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        if self._folder.exists():
            return True
        os.close(self._lock)
        return False

    def path(self) -> Path:
        """A name that no file has yet."""
        self._taken += 1
        return self._folder / str(self._taken)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._lock)


def _sweep(leftover: Path) -> None:
    try:
        lock = os.open(leftover, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(leftover, ignore_errors=True)
    except BlockingIOError:
        pass  # its writer lives
    finally:
        os.close(lock)


@contextmanager
def storage_errors(where: Path) -> Iterator[None]:
    """Tell a full or forbidden disk as an error of the domain; any other OSError stays what it is."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise StorageFullError(
                f"No space is left for artifacts: {error.strerror}.",
                where=str(where),
                remedy="Free some space and repeat; nothing that can be found was written.",
            ) from error
        if error.errno in _FORBIDDEN:
            raise InvalidRequestError(
                f"The folder cannot be written: {error.strerror}.",
                where=str(where),
                remedy="Name a folder you may write to with --home.",
            ) from error
        raise


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
