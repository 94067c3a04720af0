"""kill -9 inside each stage after its first write, then run again: only that stage and later ones run."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from onnxyard.ports.unit_of_work import RunState

if TYPE_CHECKING:
    from conftest import Project

STAGES = ("develop", "export", "optimize", "validate", "deploy")


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_stage_and_later_ones_run_again(project: Project, stage: str) -> None:
    killed = project.run(ONNXYARD_FAILPOINT=stage)
    assert killed.code == -9, killed.stderr
    again = project.run()
    reached = STAGES.index(stage)
    # Deploy's first write is the change itself: what is live already is not deployed twice.
    expected = {name: at < reached or stage == "deploy" for at, name in enumerate(STAGES)}
    assert again.reused() == expected
    assert (again.document["version"], again.document["generation"], again.document["status"]) == (1, 1, "live")
    with project.yard.unit_of_work() as work:
        states = [run.state for run in work.runs.of_model("blobs")]
        assert len(work.versions.of_model("blobs")) == 1
    assert states == [RunState.FINISHED, RunState.ABANDONED]
    assert list((project.settings.workspaces).glob("*/*")) == []
    if stage != "deploy":
        ran, reused = told_to_mlflow(project, again.document["mlflow_run_id"])
        assert ran == [*STAGES[reached:4], "register", "deploy"]
        assert reused == list(STAGES[:reached])


def told_to_mlflow(project: Project, parent: str) -> tuple[list[str], list[str]]:
    """Names of the nested runs of stages that ran, and of those that were reused, in their order; read as plain SQL."""
    query = """
        SELECT runs.name, reused.value FROM runs
        JOIN tags parent ON parent.run_uuid = runs.run_uuid AND parent.key = 'mlflow.parentRunId'
        JOIN tags reused ON reused.run_uuid = runs.run_uuid AND reused.key = 'onnxyard.reused'
        WHERE parent.value = ? ORDER BY runs.start_time
    """
    database = sqlite3.connect(project.settings.home / "mlflow.sqlite")
    try:
        rows = database.execute(query, (parent,)).fetchall()
    finally:
        database.close()
    return [name for name, reused in rows if reused == "false"], [name for name, reused in rows if reused == "true"]
