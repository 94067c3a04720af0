"""What a database driver raises, told as errors of the domain."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from onnxyard.disk import is_full
from onnxyard.errors import (
    ArtifactCorruptError,
    ConflictError,
    InvalidRequestError,
    OnnxyardError,
    StorageFullError,
    UnreachableError,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import ExceptionContext

_SQLITE_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_POSTGRES_FULL = frozenset({"53100", "53400"})  # disk_full, configuration_limit_exceeded
_POSTGRES_LOST_RACE = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected


def translate(context: ExceptionContext) -> None:
    """Raise the domain's error for the driver's; SQLAlchemy calls this for every one, on connect, flush and commit."""
    if context.is_pre_ping:  # a stale pooled connection: the pool replaces it by itself
        return
    if isinstance(context.original_exception, OnnxyardError):  # a column type refused a value
        raise context.original_exception
    engine = context.engine
    where = engine.url.render_as_string(hide_password=True) if engine else ""
    told = fault(context.original_exception, where=where)
    if told is not None:
        raise told from context.original_exception


def fault(error: BaseException, *, where: str) -> OnnxyardError | None:
    """The domain's error for a driver's; None for one that only a defect of ours can cause."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "IntegrityError" in kinds:
        return ConflictError(
            f"The registry refuses the change: {_first_line(error)}.",
            where=where,
            remedy="Somebody else may have made the same change first: look again and repeat it.",
        )
    if "DataError" in kinds:  # as a NUL character in a text, which PostgreSQL refuses
        return InvalidRequestError(f"The registry cannot hold a value: {_first_line(error)}.", where=where)
    if isinstance(error, sqlite3.Error):
        return _sqlite_fault(error, where)
    if kinds & {"OperationalError", "InterfaceError"}:
        return _postgres_fault(error, where)
    return None


def _sqlite_fault(error: sqlite3.Error, where: str) -> OnnxyardError | None:
    code = getattr(error, "sqlite_errorcode", None)
    if is_full(error):
        return _full(error, where)
    if code is not None and code & 0xFF in _SQLITE_CORRUPT:
        return ArtifactCorruptError(
            f"The registry's file is damaged or no database: {_first_line(error)}.",
            where=where,
            remedy="Restore it from a backup, or name another home with --home.",
        )
    if isinstance(error, sqlite3.OperationalError) and code not in {None, sqlite3.SQLITE_ERROR}:
        return UnreachableError(
            f"The registry cannot be used: {_first_line(error)}.",
            where=where,
            remedy="Check that its folder exists, is writable and has space, and that no other program holds the file.",
        )
    return None


def _postgres_fault(error: BaseException, where: str) -> OnnxyardError:
    state = getattr(error, "sqlstate", None)
    if state in _POSTGRES_FULL:
        return _full(error, where)
    if state in _POSTGRES_LOST_RACE:
        return ConflictError(
            f"Somebody else changed the registry at the same moment: {_first_line(error)}.",
            where=where,
            remedy="Repeat the command.",
        )
    return UnreachableError(
        f"The registry's database does not answer: {_first_line(error)}.",
        where=where,
        remedy="Check that the server runs and that ONNXYARD_DATABASE_URL names it.",
    )


def _full(error: BaseException, where: str) -> StorageFullError:
    return StorageFullError(
        f"The registry cannot grow: {_first_line(error)}.",
        where=where,
        remedy="Free some space and repeat the command; nothing of it was written.",
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
