"""The embedded prediction log: one SQLite file, written by serving's replicas, read by monitoring."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from onnxyard.errors import ArtifactCorruptError, ConflictError, StorageFullError, UnreachableError
from onnxyard.ports.prediction_log import LoggedWindow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from onnxyard.ports.prediction_log import PredictionRecord

BUSY_SECONDS = 10
RETRY_SECONDS = 0.01
SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS predictions (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id  TEXT    NOT NULL UNIQUE,
    replica     TEXT    NOT NULL,
    sequence    INTEGER NOT NULL,
    client_id   TEXT,
    endpoint    TEXT    NOT NULL,
    model       TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    digest      TEXT    NOT NULL,
    role        TEXT    NOT NULL,
    generation  INTEGER NOT NULL,
    at          TEXT    NOT NULL, -- ISO 8601, UTC
    rows        INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    columns     TEXT    NOT NULL, -- JSON object: column name to one value per row
    label       TEXT              -- JSON, the truth when it comes, found by request_id; NULL until then
) STRICT;
CREATE INDEX IF NOT EXISTS predictions_by_version ON predictions (endpoint, version, position);
"""
_FIELDS = (
    "request_id, replica, sequence, client_id, endpoint, model, version, digest, role, generation, at, rows, "
    "duration_us, columns"
)
_INSERT = f"INSERT OR IGNORE INTO predictions ({_FIELDS}) VALUES ({', '.join('?' * 14)})"  # noqa: S608 - constants
_LATEST = (
    "SELECT position, at, rows, columns FROM predictions "
    "WHERE endpoint = ? AND version = ? AND position > ? ORDER BY position DESC"
)
_MISSING = (
    "SELECT coalesce(sum(expected - found), 0) FROM (SELECT max(sequence) - min(sequence) + 1 AS expected, "
    "count(*) AS found FROM predictions WHERE endpoint = ? AND position BETWEEN ? AND ? GROUP BY replica)"
)
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_SHMSIZE}
"""A full disk shows as an input/output error of a write just as often as it shows as itself."""


class SqlitePredictionLog:
    """The port `PredictionLog` in one file. Threads may share it; so may processes, through SQLite's own locks.

    Args:
        path: The file; made, with its folder, by the first append. Until then the log is empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def append(self, records: Sequence[PredictionRecord]) -> None:
        with self._open(make=True) as connection, connection:
            connection.executemany(_INSERT, [_row(record) for record in records])

    def window(self, endpoint: str, *, version: int, rows: int, after: int = 0) -> LoggedWindow | None:
        with self._open(make=False) as connection:
            found: list[tuple[int, str, int, str]] = []
            taken = 0
            for record in connection.execute(_LATEST, (endpoint, version, after)):
                found.append(record)
                taken += record[2]
                if taken >= rows:
                    break
            if not found:
                return None
            found.reverse()
            first, last = found[0][0], found[-1][0]
            [(missing,)] = connection.execute(_MISSING, (endpoint, first, last))
        return LoggedWindow(
            endpoint=endpoint,
            version=version,
            first=first,
            last=last,
            started_at=datetime.fromisoformat(found[0][1]),
            ended_at=datetime.fromisoformat(found[-1][1]),
            rows=taken,
            columns=_join([json.loads(columns) for *_, columns in found]),
            missing=missing,
        )

    def count(self, endpoint: str) -> int:
        with self._open(make=False) as connection:
            [(count,)] = connection.execute("SELECT count(*) FROM predictions WHERE endpoint = ?", (endpoint,))
        return int(count)

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _open(self, *, make: bool) -> Iterator[sqlite3.Connection]:
        """The one connection, held; a log that nobody wrote yet reads as an empty one in memory."""
        with self._lock, _told(self._path):
            if self._connection is None:
                if not make and not self._path.exists():
                    with closing(_connect(":memory:")) as empty:
                        yield empty
                    return
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._connection = _connect(self._path)
            yield self._connection


def _connect(path: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    try:
        _prepare_in_turn(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare_in_turn(connection: sqlite3.Connection, path: Path | str) -> None:
    """Prepare, as soon as others let us: SQLite refuses a change of the journal mode at once, whatever the time-out."""
    patience = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return _prepare(connection, path)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > patience:
                raise
            connection.rollback()
            time.sleep(RETRY_SECONDS)


def _prepare(connection: sqlite3.Connection, path: Path | str) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    [(found,)] = connection.execute("PRAGMA user_version")
    if found > SCHEMA_VERSION:
        raise ConflictError(
            f"The prediction log has schema {found}; this Onnxyard knows {SCHEMA_VERSION}.",
            where=str(path),
            remedy="Upgrade Onnxyard.",
        )
    if found < SCHEMA_VERSION:
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell SQLite's and the disk's refusals as errors of the domain; mistakes in our own statements stay themselves."""
    try:
        yield
    except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code in _FULL:
            raise StorageFullError(f"The prediction log cannot be written: {error}.", where=str(path)) from error
        if code in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
            raise ArtifactCorruptError(
                f"The prediction log is damaged: {error}.", where=str(path), remedy="Move the file aside."
            ) from error
        if isinstance(error, sqlite3.OperationalError):
            raise UnreachableError(f"The prediction log does not answer: {error}.", where=str(path)) from error
        raise
    except OSError as error:
        raise StorageFullError(f"The prediction log cannot be written: {error}.", where=str(path)) from error


def _row(record: PredictionRecord) -> tuple[Any, ...]:
    return (
        record.request_id,
        record.replica,
        record.sequence,
        record.client_id,
        record.endpoint,
        record.model,
        record.version,
        record.digest,
        record.role,
        record.generation,
        record.at.astimezone(UTC).isoformat(),
        record.rows,
        record.duration_us,
        json.dumps(record.columns),
    )


def _join(parts: list[dict[str, list[Any]]]) -> dict[str, list[float] | list[str]]:
    """One list per column over all records; records of one version have the same columns."""
    return {name: [value for part in parts for value in part[name]] for name in parts[0]}
