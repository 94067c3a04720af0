"""Alembic migrations: the only way the schema comes to be.

`upgrade`, `downgrade` and `current` take a database's URL. A migration runs in one transaction under a lock of the
database, so that it is there whole or not at all, and two processes that start at once do not collide.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import event, text

from onnxyard.errors import ConflictError
from onnxyard.registry.connection import create_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection
    from sqlalchemy.engine.interfaces import DBAPIConnection

FOLDER = Path(__file__).parent
_LOCK = 0x0A11AD
"""The key of PostgreSQL's advisory lock that migrations of one database queue on."""


def head() -> str:
    """The newest revision there is."""
    revision = ScriptDirectory(str(FOLDER)).get_current_head()
    assert revision is not None  # noqa: S101 - the folder ships with at least one revision
    return revision


def current(url: str) -> str | None:
    """The revision the database is at; None for an empty one. Raises UnreachableError."""
    with _locked(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the schema up to `revision`.

    Raises:
        UnreachableError: the database does not answer.
        StorageFullError: no space is left; the schema is as it was.
        ConflictError: the database is at a revision this code does not know: a newer Onnxyard wrote it.
    """
    _run(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str) -> None:
    """Take the schema down to `revision` (`base` empties the database). Raises as `upgrade`."""
    _run(url, lambda config: command.downgrade(config, revision))


def _run(url: str, act: Callable[[Config], None]) -> None:
    with _locked(url) as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(FOLDER))
        try:
            act(config)
        except CommandError as error:
            raise ConflictError(
                f"The registry's schema cannot be migrated: {error}.",
                where=connection.engine.url.render_as_string(hide_password=True),
                remedy="A newer Onnxyard may have written it: upgrade this one (pip install --upgrade onnxyard).",
            ) from error
        connection.commit()


@contextmanager
def _locked(url: str) -> Iterator[Connection]:
    """A connection inside a transaction that no other migration of the database runs beside."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        # The driver would begin a transaction only at the first INSERT, and so leave CREATE TABLE outside of it.
        @event.listens_for(engine, "connect")
        def _by_hand(connection: DBAPIConnection, _: object) -> None:
            connection.isolation_level = None

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            yield connection
    finally:
        engine.dispose()
