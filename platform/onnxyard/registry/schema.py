"""Whether the database's schema is the one this code was written for; with plain SQL, for replicas have no Alembic."""

from __future__ import annotations

import errno
import fcntl
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from onnxyard.errors import ConflictError, StorageFullError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

EXPECTED_REVISION = "0002"
"""The newest revision of `onnxyard_migrations` (a test holds the two equal)."""


def require_current(engine: Engine) -> None:
    """Raise ConflictError, with what to do, unless the schema is at the expected revision."""
    with engine.connect() as connection:
        found = revision_of(connection)
    if found != EXPECTED_REVISION:
        state = "has no schema yet" if found is None else f"is at revision {found}"
        raise ConflictError(
            f"The registry's database {state}; this Onnxyard needs revision {EXPECTED_REVISION}.",
            where=engine.url.render_as_string(hide_password=True),
            remedy="Run: onnxyard db upgrade (or upgrade this Onnxyard, where the database is the newer one).",
            found=found,
            expected=EXPECTED_REVISION,
        )


def revision_of(connection: Connection) -> str | None:
    """The revision that Alembic left in the database; None for one it never touched."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def prepare_embedded(engine: Engine) -> None:
    """Make the SQLite file where it is missing, and migrate it where it is behind.

    One process at a time: switching to the write-ahead log does not wait for other connections as writes do.
    """
    file = Path(str(engine.url.database))
    with _alone(file.with_name(file.name + ".lock")):
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            found = revision_of(connection)
        if found != EXPECTED_REVISION and find_spec("alembic") is not None:
            import onnxyard_migrations  # noqa: PLC0415 - Alembic is needed only when there is something to migrate

            onnxyard_migrations.upgrade(engine.url.render_as_string(hide_password=False))
    require_current(engine)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = lock.open("w")
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFullError(
                "No space is left for the registry.", where=str(lock.parent), remedy="Free some space and repeat."
            ) from error
        raise UnreachableError(
            f"The registry's folder cannot be written: {error.strerror}.",
            where=str(lock.parent),
            remedy="Name a folder you may write to with --home.",
        ) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
