"""What goes wrong with a database, told as errors of the domain; and nothing half-written."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import text

from onnxyard.delivery.onnxyard_serving import OnnxyardServing
from onnxyard.errors import (
    ArtifactCorruptError,
    ConflictError,
    InvalidRequestError,
    StorageFullError,
    TransientError,
    UnreachableError,
)
from onnxyard.lifecycle.deployment import DeploymentKind, DeploymentPlan
from onnxyard.operations.deploy import apply_plan
from onnxyard.operations.register import register
from onnxyard.registry.connection import create_engine
from onnxyard.registry.database import open_registry, registry_revision
from onnxyard.registry.faults import fault
from onnxyard.testing import sample_draft

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from onnxyard.lifecycle.deployment import Deployment
    from onnxyard.registry.database import SqlRegistry
    from onnxyard.registry.unit_of_work import SqlUnitOfWork

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLAN = DeploymentPlan("digits", "digits", 1, "cpu", 0, DeploymentKind.DEPLOY, "passed")


def with_planted_audit(registry: SqlRegistry) -> Callable[[], SqlUnitOfWork]:
    """The real unit of work, whose audit fails: as where the disk fills between the swap and the audit row."""

    def factory() -> SqlUnitOfWork:
        work = registry()

        def fail(**_: object) -> None:
            assert work.deployments.generation("digits") == 1  # the swap has happened in this transaction
            raise StorageFullError("planted")

        work.audit.add = fail  # type: ignore[method-assign]  # a planted fault
        return work

    return factory


def test_a_swap_without_its_audit_row_never_happened(registry_url: str) -> None:
    registry = open_registry(registry_url)
    register(registry, sample_draft(), actor="ann@host", now=NOON)
    with pytest.raises(StorageFullError, match="planted"):
        apply_plan(with_planted_audit(registry), OnnxyardServing(), PLAN, actor="ann@host", now=NOON)
    with registry() as work:
        assert work.deployments.generation("digits") == 0
        assert work.deployments.history("digits") == ()
        assert work.outbox.pending(topic="mlflow.alias") == ()
        assert [entry.action for entry in work.audit.entries()] == ["version.register"]
    registry.close()


def test_the_target_hears_of_it_only_after_the_commit(registry_url: str) -> None:
    registry = open_registry(registry_url)
    register(registry, sample_draft(), actor="ann@host", now=NOON)

    class Away(OnnxyardServing):
        def publish(self, deployment: Deployment) -> None:
            with registry() as work:
                assert work.deployments.generation(deployment.endpoint) == 1
            raise UnreachableError("the target is away")

    with pytest.raises(TransientError):
        apply_plan(registry, Away(), PLAN, actor="ann@host", now=NOON)
    with registry() as work:
        assert work.deployments.generation("digits") == 1
    registry.close()


def test_a_constraint_that_is_checked_at_the_commit_is_a_conflict(registry_url: str) -> None:
    registry = open_registry(registry_url)
    register(registry, sample_draft(), actor="ann@host", now=NOON)
    with registry() as work:
        session = work._session
        if session.get_bind().dialect.name == "sqlite":
            work.audit.add(at=NOON, actor="a", action="a", subject="s", detail={})  # which begins the transaction
            session.execute(text("PRAGMA defer_foreign_keys = ON"))
        else:
            constraint = "ALTER CONSTRAINT fk_gates_version_id_versions DEFERRABLE INITIALLY DEFERRED"
            session.execute(text(f"ALTER TABLE gates {constraint}"))
        session.execute(text("UPDATE gates SET version_id = 999"))
        with pytest.raises(ConflictError, match=r"(?i)foreign key"):
            work.commit()
    with registry() as work:
        assert len(work.versions.get("digits", 1).draft.gates) == 2
        assert len(work.audit.entries()) == 1
    registry.close()


def test_a_value_that_the_database_cannot_hold_is_refused(postgres_url: str) -> None:
    registry = open_registry(postgres_url)
    with registry() as work, pytest.raises(InvalidRequestError, match="cannot hold"):
        work.audit.add(at=NOON, actor="a\0b", action="a", subject="s", detail={})
    registry.close()


@pytest.mark.parametrize(
    "url", ["mysql://host/db", "no url", "sqlite://", "sqlite:///:memory:", "oracle://u:secret@h/d", "made.up://x"]
)
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequestError) as told:
        open_registry(url)
    assert "postgresql://" in told.value.remedy
    assert "secret" not in str(told.value)


def test_a_server_that_does_not_answer_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused
        url = f"postgresql://ann:secret@127.0.0.1:{taken.getsockname()[1]}/registry"
        for act in (open_registry, registry_revision):
            with pytest.raises(UnreachableError, match="does not answer") as told:
                act(url)
            assert "secret" not in str(told.value)
            assert "ONNXYARD_DATABASE_URL" in told.value.remedy


def test_a_database_that_is_not_there_is_unreachable(postgres_server: str) -> None:
    with pytest.raises(UnreachableError, match="does not exist"):
        open_registry(postgres_server.replace("/postgres?", "/nothing?"))


def test_a_connection_that_was_cut_is_told_and_the_next_one_works(postgres_url: str, postgres_server: str) -> None:
    registry = open_registry(postgres_url)

    def cut() -> None:
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'onnxyard'"
            )

    with registry() as work:
        work.versions.add(sample_draft(), at=NOON)
        cut()
        with pytest.raises(UnreachableError):
            work.commit()
    with registry() as work:
        assert work.versions.models() == ()
    cut()  # idle in the pool
    with registry() as work:
        assert work.versions.models() == ()
    registry.close()


def test_a_folder_that_cannot_be_made_is_unreachable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UnreachableError):
        open_registry(f"sqlite:///{tmp_path / 'file' / 'registry.sqlite'}")


def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "registry.sqlite").write_bytes(b"certainly no database" * 100)
    with pytest.raises(ArtifactCorruptError, match="no database"):
        open_registry(f"sqlite:///{tmp_path / 'registry.sqlite'}")


def test_a_writer_that_never_ends_is_told(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_registry(sqlite_url).close()
    monkeypatch.setattr("onnxyard.registry.connection.BUSY_SECONDS", 0.05)
    registry = open_registry(sqlite_url)
    with registry() as first, registry() as second:
        first.versions.add(sample_draft(), at=NOON)
        with pytest.raises(UnreachableError, match="locked"):
            second.versions.add(sample_draft(), at=NOON)
    registry.close()


FULL = """
import resource, sys
from datetime import UTC, datetime
from dataclasses import replace
from onnxyard.errors import StorageFullError
from onnxyard.operations.register import register
from onnxyard.registry.database import open_registry
from onnxyard.testing import sample_draft
resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, 700_000))
registry = open_registry(sys.argv[1])
told = 0
try:
    while True:
        register(registry, sample_draft(key=str(told), mlflow_run_id="x" * 10_000), actor="a", now=datetime.now(UTC))
        told += 1
except StorageFullError as error:
    print(told)
"""


def test_a_disk_that_takes_no_more_is_told_and_what_was_acknowledged_is_kept(sqlite_url: str) -> None:
    child = subprocess.run([sys.executable, "-c", FULL, sqlite_url], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    acknowledged = int(child.stdout)
    assert acknowledged > 5
    registry = open_registry(sqlite_url)
    with registry() as work:
        assert len(work.versions.of_model("digits")) == acknowledged
        assert len(work.audit.entries(limit=1000)) == acknowledged
    registry.close()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, StorageFullError),
        (sqlite3.SQLITE_IOERR_WRITE, StorageFullError),
        (sqlite3.SQLITE_IOERR_READ, UnreachableError),
        (sqlite3.SQLITE_BUSY, UnreachableError),
        (sqlite3.SQLITE_CANTOPEN, UnreachableError),
        (sqlite3.SQLITE_READONLY, UnreachableError),
    ],
)
def test_each_sqlite_code_has_its_error(code: int, kind: type[Exception]) -> None:
    error = sqlite3.OperationalError("told by SQLite")
    error.sqlite_errorcode = code
    assert isinstance(fault(error, where="here"), kind)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.DiskFull("full"), StorageFullError),
        (psycopg.errors.DeadlockDetected("deadlock"), ConflictError),
        (psycopg.errors.SerializationFailure("lost"), ConflictError),
        (psycopg.errors.LockNotAvailable("waited"), UnreachableError),
        (psycopg.errors.UniqueViolation("twice"), ConflictError),
        (psycopg.errors.AdminShutdown("bye"), UnreachableError),
        (psycopg.InterfaceError("closed"), UnreachableError),
    ],
)
def test_each_postgresql_state_has_its_error(error: Exception, kind: type[Exception]) -> None:
    assert isinstance(fault(error, where="here"), kind)


def test_a_defect_of_ours_stays_what_it_is() -> None:
    assert fault(sqlite3.OperationalError("no such table: x"), where="") is None
    assert fault(psycopg.errors.UndefinedColumn("x"), where="") is None


def test_the_embedded_database_survives_a_power_cut(sqlite_url: str) -> None:
    open_registry(sqlite_url).close()
    engine = create_engine(sqlite_url)
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
