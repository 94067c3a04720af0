"""Candidates of a registry from before the search: their rows are kept, up and down, on both databases."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

import onnxyard_migrations
from onnxyard.lifecycle.candidate import Outcome
from onnxyard.lifecycle.setup import Setup
from onnxyard.lifecycle.version import ArtifactRole, Execution
from onnxyard.registry.connection import create_engine
from onnxyard.registry.database import open_registry
from onnxyard.testing import sample_draft
from onnxyard.testing.samples import NOON

if TYPE_CHECKING:
    from pathlib import Path

SIGNATURE = '{"inputs": [], "outputs": []}'
# Numbered beyond what the database's own counters reach here.
OLD = """
INSERT INTO models VALUES (101, 'digits', 1, :at);
INSERT INTO versions VALUES (101, 101, 1, 'key', 'validated', :signature, :signature, 'torch', 's', 'd', NULL, '[]',
    NULL, NULL, :at);
INSERT INTO version_artifacts VALUES (107, 101, 0, 'model', 'cpu', :digest, 20, 10, 'int8-qdq', 'int8', 'onnxruntime',
    'CPUExecutionProvider', 2);
INSERT INTO version_artifacts VALUES (108, 101, 1, 'sidecar', '', :digest, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO artifact_files VALUES (107, 'model.onnx', :digest, 13000);
INSERT INTO artifact_files VALUES (108, 'sidecar.json', :digest, 5);
INSERT INTO candidates VALUES (101, 101, 0, 'fp32', 'cpu', 0.98, 0.2, 0.3, 41000, FALSE, 'the baseline');
INSERT INTO candidates VALUES (105, 101, 1, 'int8-qdq', 'cpu', 0.97, 0.1, 0.15, 13000, TRUE, 'the fastest');
INSERT INTO candidates VALUES (106, 101, 2, 'int8-dynamic', 'cpu', NULL, NULL, NULL, NULL, FALSE, 'did not load')
"""
COLUMNS = {
    "candidates": "SELECT version_id, position, recipe, target, quality, p50_ms, p99_ms, size_bytes, chosen, note "
    "FROM candidates ORDER BY id",
    "version_artifacts": "SELECT * FROM version_artifacts ORDER BY id",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def old_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'old.sqlite'}" if sqlite else str(request.getfixturevalue("empty_postgres_url"))
    onnxyard_migrations.upgrade(url, "0001")
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in OLD.split(";"):
            asked = {"at": "2026-11-23 12:00:00.000000", "signature": SIGNATURE, "digest": "ab" * 32}
            connection.execute(text(statement), {k: v for k, v in asked.items() if f":{k}" in statement})
    engine.dispose()
    return url


def rows(url: str, table: str) -> list[dict[str, Any]]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = [dict(row) for row in connection.execute(text(COLUMNS[table])).mappings()]
    engine.dispose()
    return found


def test_old_candidates_are_read_as_what_they_were(old_url: str) -> None:
    onnxyard_migrations.upgrade(old_url)
    registry = open_registry(old_url)
    with registry() as work:
        version = work.versions.get("digits", 1)
    registry.close()
    setup = Setup("onnxruntime", "CPUExecutionProvider", 2)
    fp32, chosen, failed = version.draft.candidates
    assert [c.name for c in version.draft.candidates] == ["fp32", "int8-qdq", "int8-dynamic"]
    assert (fp32.p50_ms, fp32.p99_ms, fp32.quality, fp32.note) == (0.2, 0.3, 0.98, "the baseline")
    assert fp32.facts == {"size": "41,000 bytes"}
    assert (chosen.chosen, chosen.setup, chosen.precision, chosen.size_bytes) == (True, setup, "int8", 13_000)
    assert chosen.ratio is not None
    assert chosen.ratio.value == 0.5
    assert math.isnan(chosen.ratio.low)
    assert not chosen.ratio.tie  # of an interval that nobody measured, nothing is claimed
    assert math.isnan(chosen.latencies[0].high_ms)
    assert (failed.outcome, failed.latencies, failed.artifact) == (Outcome.FAILED, (), None)
    model, sidecar = version.models[0], version.artifact(ArtifactRole.SIDECAR)
    assert model.execution == Execution("int8-qdq", "int8", setup)
    assert sidecar is not None
    assert sidecar.execution is None


def test_what_comes_after_a_migration_gets_a_row_of_its_own(old_url: str) -> None:
    onnxyard_migrations.upgrade(old_url)
    registry = open_registry(old_url)
    with registry() as work:
        draft = sample_draft(model="other")
        work.versions.add(draft, at=NOON)
        work.commit()
    with registry() as work:
        assert work.versions.get("other", 1).draft == draft
    registry.close()


def test_down_again_they_are_the_old_rows(old_url: str) -> None:
    before = {table: rows(old_url, table) for table in ("candidates", "version_artifacts")}
    onnxyard_migrations.upgrade(old_url)
    onnxyard_migrations.downgrade(old_url, "0001")
    assert {table: rows(old_url, table) for table in before} == before


def test_down_goes_two_ways_to_run_one_recipe_under_their_names(old_url: str) -> None:
    onnxyard_migrations.upgrade(old_url)
    registry = open_registry(old_url)
    with registry() as work:
        work.versions.add(sample_draft(model="other"), at=NOON)
        work.commit()
    registry.close()
    onnxyard_migrations.downgrade(old_url, "0001")
    recipes = {row["recipe"] for row in rows(old_url, "candidates")}
    assert recipes >= {"fp32", "fp32 · openvino precision=bf16", "int8-qdq"}
