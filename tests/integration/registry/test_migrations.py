"""Alembic is the only way the schema comes to be, and what it makes is what the ORM expects, on both databases."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, inspect, text

import onnxyard
import onnxyard_migrations
from onnxyard.errors import ConflictError
from onnxyard.registry.connection import create_engine
from onnxyard.registry.database import open_registry, registry_revision, upgrade_registry
from onnxyard.registry.schema import EXPECTED_REVISION
from onnxyard.registry.tables import Base
from onnxyard.testing import sample_draft

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"
    return str(request.getfixturevalue("empty_postgres_url"))


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_the_expected_revision_is_alembics_head() -> None:
    assert onnxyard_migrations.head() == EXPECTED_REVISION


def test_up_down_up(empty_url: str) -> None:
    assert onnxyard_migrations.current(empty_url) is None
    onnxyard_migrations.upgrade(empty_url)
    assert onnxyard_migrations.current(empty_url) == EXPECTED_REVISION
    made = tables(empty_url)
    assert made == {table.name for table in Base.metadata.sorted_tables} | {"alembic_version"}
    onnxyard_migrations.downgrade(empty_url, "base")
    assert onnxyard_migrations.current(empty_url) is None
    assert tables(empty_url) == {"alembic_version"}
    onnxyard_migrations.upgrade(empty_url)
    onnxyard_migrations.upgrade(empty_url)
    assert tables(empty_url) == made


def test_the_migrated_schema_is_the_orms(empty_url: str) -> None:
    onnxyard_migrations.upgrade(empty_url)
    engine = create_engine(empty_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "target_metadata": Base.metadata}
        )
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_the_comparison_can_fail(empty_url: str) -> None:
    onnxyard_migrations.upgrade(empty_url)
    engine = create_engine(empty_url)
    with engine.connect() as connection:
        connection.execute(text("ALTER TABLE endpoints ADD COLUMN extra INTEGER"))
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
        assert [difference[0] for difference in differences] == ["remove_column"]
    engine.dispose()


def test_every_check_constraint_of_the_orm_is_in_the_database(empty_url: str) -> None:
    # Alembic's comparison does not look at CHECK constraints.
    onnxyard_migrations.upgrade(empty_url)
    engine = create_engine(empty_url)
    found = {
        (table, str(check["name"]))
        for table in tables(empty_url)
        for check in inspect(engine).get_check_constraints(table)
    }
    engine.dispose()
    expected = {
        (table.name, str(constraint.name))
        for table in Base.metadata.sorted_tables
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert ("deployments", "ck_deployments_role") in expected
    assert found == expected


def test_a_word_that_the_enum_lacks_is_refused_by_the_database(empty_url: str) -> None:
    onnxyard_migrations.upgrade(empty_url)
    engine = create_engine(empty_url)
    insert = (
        "INSERT INTO runs (id, model, state, process, started_at, detail) "
        "VALUES ('a', 'm', {}, 'h:1', '2026-11-23', '')"
    )
    with engine.connect() as connection:
        connection.execute(text(insert.format("'running'")))
        with pytest.raises(ConflictError, match="ck_runs_runstate"):
            connection.execute(text(insert.format("'walking'")))
    engine.dispose()


@pytest.mark.parametrize(
    ("table", "change"), [("audit", "DELETE FROM audit"), ("audit", "UPDATE audit SET actor = 'x'")]
)
def test_history_refuses_changes(empty_url: str, table: str, change: str) -> None:
    onnxyard_migrations.upgrade(empty_url)
    registry = open_registry(empty_url)
    with registry() as work:
        work.audit.add(at=NOON, actor="ann@host", action="a", subject="s", detail={})
        work.commit()
    registry.close()
    engine = create_engine(empty_url)
    with engine.connect() as connection, pytest.raises(ConflictError, match=f"{table} is append-only"):
        connection.execute(text(change))
    engine.dispose()


def test_a_failed_migration_leaves_the_schema_as_it_was(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    shipped = onnxyard_migrations.FOLDER
    for file in (shipped / "env.py", shipped / "script.py.mako", *(shipped / "versions").glob("r*.py")):
        (folder / file.relative_to(shipped)).write_text(file.read_text())
    (folder / "versions" / "r9999_broken.py").write_text(
        f"from alembic import op\nrevision, down_revision = '9999', '{EXPECTED_REVISION}'\n"
        "def upgrade():\n"
        "    for _ in range(2): op.execute('CREATE TABLE half (id INTEGER)')\n"
        "def downgrade():\n    pass\n"
    )
    onnxyard_migrations.upgrade(empty_url)
    monkeypatch.setattr(onnxyard_migrations, "FOLDER", folder)
    with pytest.raises(sqlalchemy.exc.DatabaseError, match="half"):
        onnxyard_migrations.upgrade(empty_url)
    assert onnxyard_migrations.current(empty_url) == EXPECTED_REVISION
    assert "half" not in tables(empty_url)


def test_a_schema_from_the_future_is_a_conflict(registry_url: str) -> None:
    upgrade_registry(registry_url)
    engine = create_engine(registry_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    for act in (open_registry, upgrade_registry):
        with pytest.raises(ConflictError) as told:
            act(registry_url)
        assert "9999" in told.value.detail
        assert "upgrade" in told.value.remedy
    assert registry_revision(registry_url) == ("9999", EXPECTED_REVISION)


def test_a_server_is_only_checked_and_migrated_on_request(empty_postgres_url: str) -> None:
    with pytest.raises(ConflictError, match="has no schema yet") as told:
        open_registry(empty_postgres_url)
    assert "onnxyard db upgrade" in told.value.remedy
    assert tables(empty_postgres_url) == set()
    upgrade_registry(empty_postgres_url)
    open_registry(empty_postgres_url).close()


def test_many_may_open_a_new_embedded_registry_at_once(sqlite_url: str) -> None:
    def use(number: int) -> int:
        registry = open_registry(sqlite_url)
        with registry() as work:
            version = work.versions.add(sample_draft(key=str(number)), at=NOON)
            work.commit()
        registry.close()
        return version.number

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(use, range(8))) == list(range(1, 9))


def test_processes_may_open_a_new_embedded_registry_at_once(sqlite_url: str) -> None:
    program = "import sys; from onnxyard.registry.database import open_registry; open_registry(sys.argv[1])"
    children = [subprocess.Popen([sys.executable, "-c", program, sqlite_url]) for _ in range(3)]
    assert [child.wait(timeout=60) for child in children] == [0, 0, 0]


def test_many_may_upgrade_a_server_at_once(empty_postgres_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade_registry, [empty_postgres_url] * 4))
    assert onnxyard_migrations.current(empty_postgres_url) == EXPECTED_REVISION


def test_a_replica_without_alembic_opens_what_is_there(sqlite_url: str) -> None:
    program = (
        "import sys\n"
        "sys.modules['alembic'] = None\n"  # as if it were not installed
        "from onnxyard.errors import ConflictError\n"
        "from onnxyard.registry.database import open_registry\n"
        "try:\n    open_registry(sys.argv[1]); print('open')\n"
        "except ConflictError as error: print(error)\n"
    )

    def told() -> str:
        ran = subprocess.run([sys.executable, "-c", program, sqlite_url], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert "onnxyard db upgrade" in told()
    upgrade_registry(sqlite_url)
    assert told() == "open\n"


def test_no_code_creates_the_registrys_tables_beside_alembic() -> None:
    sources = [*Path(onnxyard.__file__).parent.glob("registry/*.py"), *onnxyard_migrations.FOLDER.glob("*.py")]
    assert len(sources) > 10
    assert [path.name for path in sources if "create_all" in path.read_text()] == []
