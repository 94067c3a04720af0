"""A real Prefect server and a real worker: deployments do what the commands do, and schedules fire."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from onnxyard.lifecycle.version import ArtifactRole
from onnxyard.ports.prediction_log import PredictionRecord
from onnxyard.ports.unit_of_work import RunState
from onnxyard.predictions.sqlite_log import SqlitePredictionLog
from onnxyard.profile.reference import read_reference
from onnxyard_flows.environment import prefect_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Ended, Project

PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def worker(carried: tuple[Project, Ended], tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The carried project's deployments, and a process worker that takes their runs."""
    project, _ = carried
    made = project.command("deployment", "create", str(project.folder), "--json")
    assert made.code == 0, made.stderr
    assert made.document == {"deployments": ["onnx-lifecycle/blobs", "scheduled-job/drift-blobs"]}
    folder = tmp_path_factory.mktemp("worker")
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "onnxyard", "--type", "process"]
    environ = os.environ | prefect_environment(project.settings) | {"PREFECT_WORKER_QUERY_SECONDS": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
        assert process.poll() is None, (folder / "log").read_text()[-3000:]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert list(folder.iterdir()) == [folder / "log"]


@pytest.mark.usefixtures("worker")
def test_a_deployment_run_on_a_worker_does_what_the_command_does(carried: tuple[Project, Ended]) -> None:
    project, _ = carried
    project.edit("epochs = 40", "epochs = 41")
    # The bare name takes the project of the working folder.
    ended = project.command("deployment", "run", "onnx-lifecycle", "--wait", "--json", cwd=project.folder)
    assert ended.code == 0, ended.stderr
    assert (ended.document["deployment"], ended.document["state"]) == ("onnx-lifecycle/blobs", "COMPLETED")
    with project.yard.unit_of_work() as work:
        [row] = [run for run in work.runs.of_model("blobs") if run.id == ended.document["flow_run"]]
        assert (row.state, row.version) == (RunState.FINISHED, 2)
        assert [d.version for d in work.deployments.current("blobs")] == [2]
    same = project.run()
    assert all(same.reused().values())
    assert (same.document["version"], same.document["generation"]) == (2, 2)


@pytest.mark.usefixtures("worker")
def test_a_failed_gate_on_a_worker_is_told_with_its_exit_code(carried: tuple[Project, Ended]) -> None:
    project, _ = carried
    project.edit("size_bytes = 100000", "size_bytes = 10")
    try:
        ended = project.command("deployment", "run", "onnx-lifecycle/blobs", "--wait", "--json")
    finally:
        project.edit("size_bytes = 10", "size_bytes = 100000")
    assert ended.code == 6, ended.stderr
    with project.yard.unit_of_work() as work:
        assert work.versions.of_model("blobs")[0].draft.verdict == "rejected"


@pytest.mark.usefixtures("worker")
def test_the_scheduled_check_fires_on_the_worker_and_leaves_its_window(
    carried: tuple[Project, Ended], tmp_path: Path
) -> None:
    project, _ = carried  # every_minutes = 0.25: a schedule of fifteen seconds
    rows = _log_reference_rows(project, tmp_path)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with project.yard.unit_of_work() as work:
            windows = work.windows.of_endpoint("blobs")
        if windows:
            break
        time.sleep(0.5)
    assert windows, "no scheduled check left a window"
    assert windows[0].rows == rows


def _log_reference_rows(project: Project, folder: Path) -> int:
    """Traffic as the champion would have logged it: the rows of its own reference, each three times."""
    yard = project.yard
    with yard.unit_of_work() as work:
        champion = work.deployments.current("blobs")[0]
        version = work.versions.get("blobs", champion.version)
    stored = version.artifact(ArtifactRole.REFERENCE)
    assert stored is not None
    yard.store.fetch(stored.artifact.digest, folder / "reference")
    reference = read_reference(folder / "reference").columns
    columns = {name: list(values.tolist()) * 3 for name, values in reference.items()}
    rows = len(next(iter(columns.values())))
    record = PredictionRecord(
        sequence=1,
        replica="test",
        request_id="request-1",
        client_id=None,
        endpoint="blobs",
        model="blobs",
        version=champion.version,
        digest=version.models[0].artifact.digest,
        role="champion",
        generation=champion.generation,
        at=datetime.now(UTC),
        rows=rows,
        duration_us=100,
        columns=columns,
    )
    SqlitePredictionLog(project.settings.predictions).append([record])
    return rows


def test_a_deployment_that_is_not_there_is_named(project: Project) -> None:
    missing = project.command("deployment", "run", "onnx-lifecycle/nobody", "--json")
    assert missing.code == 4, missing.stderr
    assert "deployment create" in missing.stderr


def test_deployments_without_a_server_say_what_to_start(project: Project) -> None:
    alone = type(project)(project.folder)
    assert alone.command("deployment", "create", str(project.folder)).code == 75


def test_the_committed_deployments_are_accepted_by_a_server(project: Project) -> None:
    """`prefect --no-prompt deploy --all` with the repository's prefect.yaml."""
    root = next(p for p in Path(__file__).parents if (p / "prefect.yaml").is_file())
    environ = os.environ | prefect_environment(project.settings)
    made = project.command("deployment", "create", str(project.folder))  # makes the work pool
    assert made.code == 0, made.stderr
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        env=environ,
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "onnx-lifecycle/digits" in done.stdout
    assert "scheduled-job/drift-digits" in done.stdout
