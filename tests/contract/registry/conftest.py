"""One suite over three registries: in memory, SQLite, PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from onnxyard.registry.database import open_registry
from onnxyard.testing import InMemoryRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.ports.unit_of_work import UnitOfWorkFactory


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest) -> Iterator[UnitOfWorkFactory]:
    if request.param == "memory":
        yield InMemoryRegistry()
        return
    opened = open_registry(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))
    yield opened
    opened.close()
