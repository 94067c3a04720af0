"""A home with a live version, of which each test breaks a copy: it must be there, whole and alone, afterwards."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from e2e.bad_input.refusals import copy
from integration.flows.conftest import FILE, MODULE, Project, prefect_server  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Project:  # noqa: F811 - the fixture
    """A project that was carried to live, once per process of the tests; they copy it."""
    folder = tmp_path_factory.mktemp("live") / "blobs"
    folder.mkdir()
    (folder / "blobs.py").write_text(MODULE)
    (folder / "onnxyard.toml").write_text(FILE)
    carried = Project(folder, {"ONNXYARD_PREFECT_API_URL": prefect_server})
    ended = carried.run()
    assert ended.code == 0, ended.stderr
    return carried


@pytest.fixture
def project(live: Project, tmp_path: Path) -> Project:
    return copy(live, tmp_path)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of loopback that is bound, so that nobody else takes it, and never listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
