"""Opening a registry by its URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.orm import sessionmaker

from onnxyard.registry.connection import create_engine
from onnxyard.registry.schema import prepare_embedded, require_current
from onnxyard.registry.unit_of_work import SqlUnitOfWork

if TYPE_CHECKING:
    from sqlalchemy import Engine


class SqlRegistry:
    """The port `UnitOfWorkFactory` over one database; threads may share it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sessions = sessionmaker(engine, expire_on_commit=False)

    def __call__(self) -> SqlUnitOfWork:
        return SqlUnitOfWork(self._sessions())

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
