"""What a full disk looks like: the operating system and SQLite each have their own words for it."""

from __future__ import annotations

import errno
import sqlite3
from typing import TYPE_CHECKING

from onnxyard.errors import StorageFullError

if TYPE_CHECKING:
    from collections.abc import Iterator

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SQLITE_FULL = frozenset(
    {
        sqlite3.SQLITE_FULL,
        # A disk quota or a file size limit shows as a failed write, sync or truncate, not as SQLITE_FULL.
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_TRUNCATE,
        sqlite3.SQLITE_IOERR_SHMSIZE,
    }
)


def is_full(error: BaseException) -> bool:
    """Whether this very error says that no space is left (a quota and a file size limit included)."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) in _SQLITE_FULL


def full_disk(error: BaseException) -> StorageFullError | None:
    """The domain's error where a full disk lies behind `error`, however deep; None where it does not."""
    for link in _chain(error):
        if is_full(link):
            file = getattr(link, "filename", None)
            return StorageFullError(
                f"No space is left: {getattr(link, 'strerror', None) or link}.",
                where=str(file) if file else "",
                remedy="Free some space and repeat the command.",
            )
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
