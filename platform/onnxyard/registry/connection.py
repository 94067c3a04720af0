"""An engine on the registry's database: SQLite embedded, PostgreSQL in production."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from onnxyard.errors import InvalidRequestError
from onnxyard.registry.faults import translate

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection

BUSY_SECONDS = 30
"""How long a writer waits for another one before it gives up."""


def parse_url(url: str) -> URL:
    """The URL of a registry. Raises InvalidRequestError for anything but an SQLite file or PostgreSQL."""
    remedy = "Use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE."
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise InvalidRequestError("The registry's database URL cannot be read.", remedy=remedy) from error
    where = parsed.render_as_string(hide_password=True)
    if backend not in {"sqlite", "postgresql"}:
        raise InvalidRequestError(f"The registry does not run on {backend}.", where=where, remedy=remedy)
    if backend == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise InvalidRequestError("The embedded registry needs a file.", where=where, remedy=remedy)
    return parsed


def create_engine(url: str) -> Engine:
    """An engine whose every driver error is told as one of the domain. Nothing is connected yet.

    On SQLite reads see what is committed, and the first write of a transaction takes the database's one write lock at
    once (BEGIN IMMEDIATE): the same READ COMMITTED that PostgreSQL gives, and no transaction that read something
    first fails because somebody else wrote since. What was read is guarded by compare-and-swap.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = sqlalchemy.create_engine(
            parsed, connect_args={"timeout": BUSY_SECONDS, "isolation_level": "IMMEDIATE"}
        )
        event.listen(engine, "connect", _prepare_sqlite)
    else:
        options = f"-c timezone=UTC -c lock_timeout={BUSY_SECONDS}s -c idle_in_transaction_session_timeout=10min"
        engine = sqlalchemy.create_engine(
            parsed,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            connect_args={"connect_timeout": 5, "options": options, "application_name": "onnxyard"},
        )
    event.listen(engine, "handle_error", translate)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()
