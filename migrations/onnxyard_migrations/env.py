"""Alembic's entry: migrates the connection it is handed, or compares it with the ORM for `alembic revision`."""

from __future__ import annotations

from alembic import context

from onnxyard.registry.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_type=True,
    compare_server_default=True,
    # The caller holds the transaction, with the lock in it.
    transactional_ddl=True,
)
context.run_migrations()
