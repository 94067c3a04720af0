"""INSERT ... ON CONFLICT DO NOTHING, which each database has in a dialect of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from onnxyard.registry.tables import Base


def insert_if_absent(session: Session, table: type[Base], **values: Any) -> bool:  # noqa: ANN401 - column values
    """Insert a row unless one of its unique keys is there already; whether it was inserted."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).values(**values).on_conflict_do_nothing().returning(*table.__table__.primary_key)
    return session.execute(statement).first() is not None
