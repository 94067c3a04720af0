"""Opening a registry by its URL."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from sqlalchemy.orm import sessionmaker

from onnxyard.registry.connection import create_engine
from onnxyard.registry.schema import EXPECTED_REVISION, prepare_embedded, require_current, revision_of
from onnxyard.registry.unit_of_work import SqlUnitOfWork

if TYPE_CHECKING:
    from sqlalchemy import Engine


class SqlRegistry:
    """The port `UnitOfWorkFactory` over one database; threads may share it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sessions = sessionmaker(engine, expire_on_commit=False)
        # A command ends without closing; its idle connections are then said goodbye to, and not just dropped.
        weakref.finalize(self, engine.dispose)

    def __call__(self) -> SqlUnitOfWork:
        return SqlUnitOfWork(self._sessions(info={"registry": self}))  # which lives as long as its units of work

    def close(self) -> None:
        """Give back all idle connections; the registry stays usable."""
        self._engine.dispose()


def open_registry(url: str) -> SqlRegistry:
    """Open the registry at a SQLAlchemy URL.

    An SQLite file is made and migrated as needed; a PostgreSQL schema is only checked, for servers are migrated on
    request (`onnxyard db upgrade`).

    Raises:
        InvalidRequestError: the URL names neither an SQLite file nor PostgreSQL.
        UnreachableError: the database does not answer.
        StorageFullError: no space is left for the embedded database.
        ConflictError: the schema is not the one this code needs.
    """
    engine = create_engine(url)
    try:
        if engine.dialect.name == "sqlite":
            prepare_embedded(engine)
        else:
            require_current(engine)
    except BaseException:
        engine.dispose()
        raise
    return SqlRegistry(engine)


def registry_revision(url: str) -> tuple[str | None, str]:
    """The revision the database is at (None for an empty one), and the one this code needs. Raises UnreachableError."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return revision_of(connection), EXPECTED_REVISION
    finally:
        engine.dispose()


def upgrade_registry(url: str) -> None:
    """Bring the schema to the revision this code needs, on a server too. Raises as `open_registry`."""
    engine = create_engine(url)
    try:
        if engine.dialect.name == "sqlite":
            prepare_embedded(engine)
        else:
            import onnxyard_migrations  # noqa: PLC0415 - replicas have no Alembic

            onnxyard_migrations.upgrade(url)
            require_current(engine)
    finally:
        engine.dispose()
