"""`onnxyard run` over real parts: what a second run, a failed gate, a second process and a lost MLflow make of it."""

from __future__ import annotations

import html
import json
import os
import signal
import socket
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from onnxyard.lifecycle.version import ArtifactRole
from onnxyard.ports.unit_of_work import RunState

if TYPE_CHECKING:
    import subprocess

    from conftest import Ended, Project

KEYS = [
    "model",
    "version",
    "status",
    "mlflow_run_id",
    "stages",
    "export",
    "candidates",
    "report",
    "gates",
    "artifacts",
    "endpoint",
    "generation",
]


def mlflow_runs(project: Project) -> int:
    database = sqlite3.connect(project.settings.home / "mlflow.sqlite")
    try:
        return int(database.execute("SELECT count(*) FROM runs").fetchone()[0])
    finally:
        database.close()


def test_the_document_is_the_one_that_was_promised(carried: tuple[Project, Ended]) -> None:
    project, first = carried
    document = first.document
    assert list(document) == KEYS
    assert (document["model"], document["version"], document["status"]) == ("blobs", 1, "live")
    assert (document["endpoint"], document["generation"]) == ("blobs", 1)
    assert set(document["stages"]) == {"develop", "export", "optimize", "validate", "deploy"}
    assert not any(stage["reused"] for stage in document["stages"].values())
    [chosen] = [each for each in document["candidates"] if each["chosen"]]
    assert chosen["artifact"] == document["artifacts"][0]["digest"]
    assert chosen["note"] in html.unescape(Path(document["report"]).read_text())
    assert document["candidates"][0]["outcome"] == "measured"  # the baseline
    assert all(set(gate) == {"name", "observed", "threshold", "passed"} for gate in document["gates"])
    [artifact] = document["artifacts"]
    assert (artifact["target"], artifact["opset"]) == ("cpu", 20)
    assert [file["path"] for file in artifact["files"]] == ["model.onnx"]
    assert project.yard.store.verify(artifact["digest"])
    assert "the project's own words" in first.stderr


def test_what_was_registered_is_whole(carried: tuple[Project, Ended]) -> None:
    project, first = carried
    with project.yard.unit_of_work() as work:
        version = work.versions.get("blobs", 1)
        [run] = [run for run in work.runs.of_model("blobs") if run.version == 1][-1:]
    assert run.state == RunState.FINISHED
    assert version.draft.mlflow_run_id == first.document["mlflow_run_id"]
    assert version.draft.mlflow_model_version == "1"
    assert [name for name, _ in version.draft.lineage.stage_keys] == ["develop", "export", "optimize", "validate"]
    roles = {a.artifact.digest: a.role for a in version.draft.artifacts}
    assert set(roles.values()) >= {ArtifactRole.MODEL, ArtifactRole.GOLDEN_SET, ArtifactRole.REFERENCE}
    for digest in {*roles, *(c.artifact.digest for c in version.draft.candidates if c.artifact is not None)}:
        project.yard.store.verify(digest)


def test_everything_is_under_home(carried: tuple[Project, Ended]) -> None:
    project, _ = carried
    assert {path.name for path in project.folder.iterdir()} <= {".onnxyard", "blobs.py", "onnxyard.toml", "__pycache__"}


def test_an_unchanged_second_run_makes_nothing_new(copy_of_carried: Project) -> None:
    before = mlflow_runs(copy_of_carried)
    second = copy_of_carried.run()
    assert all(second.reused().values())
    assert (second.document["version"], second.document["generation"]) == (1, 1)
    assert mlflow_runs(copy_of_carried) == before


def test_a_failed_gate_leaves_a_rejected_version_and_what_was_live(copy_of_carried: Project) -> None:
    copy_of_carried.edit("size_bytes = 100000", "size_bytes = 10")
    rejected = copy_of_carried.run()
    assert rejected.code == 6
    document = rejected.document
    assert (document["version"], document["status"]) == (2, "rejected")
    assert document["generation"] == 1
    assert [gate["name"] for gate in document["gates"] if not gate["passed"]] == ["size@cpu"]
    [told] = document["error"]["context"]["gates"]
    assert (told["name"], told["threshold"]) == ("size@cpu", 10)
    assert told["observed"] > 10
    assert "size@cpu" in rejected.stderr
    again = copy_of_carried.run()
    assert (again.code, again.document["version"]) == (6, 2)
    with copy_of_carried.yard.unit_of_work() as work:
        assert [d.version for d in work.deployments.current("blobs")] == [1]
        assert work.runs.of_model("blobs")[0].state == RunState.REJECTED
        assert len(work.versions.of_model("blobs")) == 2


def test_a_corrupt_artifact_makes_its_stage_run_again_and_heals(
    copy_of_carried: Project, carried: tuple[Project, Ended]
) -> None:
    sha256 = carried[1].document["artifacts"][0]["files"][0]["sha256"]
    [blob] = [p for p in copy_of_carried.settings.artifacts.rglob(sha256) if p.is_file()]
    spoiled = bytearray(blob.read_bytes())
    spoiled[len(spoiled) // 2] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(spoiled)
    healed = copy_of_carried.run("--until", "optimize")
    assert healed.reused()["develop"]
    # The file may be the exported model's too: whoever made it makes it again.
    assert not (healed.reused()["export"] and healed.reused()["optimize"])
    assert any((copy_of_carried.settings.artifacts / "quarantine").iterdir())


def test_a_torn_result_makes_its_stage_run_again(copy_of_carried: Project) -> None:
    [kept] = (copy_of_carried.settings.prefect / "results").glob("export-*")
    kept.write_bytes(kept.read_bytes()[: kept.stat().st_size // 2])
    again = copy_of_carried.run()
    assert again.reused() == {"develop": True, "export": False, "optimize": True, "validate": True, "deploy": True}
    assert again.document["generation"] == 1


def test_until_stops_before_anything_is_registered(project: Project) -> None:
    stopped = project.run("--until", "develop")
    assert list(stopped.reused()) == ["develop"]
    assert (stopped.document["version"], stopped.document["status"], stopped.document["generation"]) == (None,) * 3
    with project.yard.unit_of_work() as work:
        assert work.versions.models() == ()


def test_code_that_raises_is_told_as_the_users_and_leaves_no_version(project: Project) -> None:
    (project.folder / "blobs.py").write_text((project.folder / "blobs.py").read_text().replace("lr=0.05", "lr=1 / 0"))
    failed = project.run()
    assert failed.code == 3, failed.stderr
    assert failed.document["error"]["code"] == "project-code-failed"
    assert "Traceback" not in failed.stderr
    with project.yard.unit_of_work() as work:
        [run] = work.runs.of_model("blobs")
    assert run.state == RunState.FAILED
    assert flow_run_state(project, run.id) == "FAILED"


def flow_run_state(project: Project, flow_run: str) -> str:
    from urllib.request import urlopen  # noqa: PLC0415 - one question to Prefect's API

    url = f"{project.environ['ONNXYARD_PREFECT_API_URL']}/flow_runs/{flow_run}"
    with urlopen(url, timeout=10) as answer:  # noqa: S310 - http on loopback
        return str(json.load(answer)["state_type"])


def test_mlflow_away_is_said_before_anything_starts(project: Project) -> None:
    with socket.socket() as taken:  # bound, never listening
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        refused = project.run(ONNXYARD_MLFLOW_TRACKING_URI=url)
    assert refused.code == 75
    assert refused.document["error"]["code"] == "unreachable"
    assert url in refused.stderr
    assert not (project.settings.prefect / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "code"), [(("run", "nowhere"), 4), (("run", ".", "--until", "lunch"), 3)], ids=["project", "stage"]
)
def test_a_wrong_request_is_refused(project: Project, arguments: tuple[str, ...], code: int) -> None:
    refused = project.command(*arguments, "--json", cwd=project.folder)
    assert (refused.code, "error" in refused.document) == (code, True)


def test_a_second_run_at_once_is_told_of_the_first(project: Project) -> None:
    first = project.start("run", str(project.folder), "--json")
    try:
        _stopped_once_it_holds_the_lock(first, project)
        second = project.run()
        assert second.code == 5, second.stderr
        context = second.document["error"]["context"]
        assert context["pid"] == first.pid
        assert "since" in context
    finally:
        os.kill(first.pid, signal.SIGCONT)
        stdout, stderr = first.communicate(timeout=120)
    assert first.returncode == 0, stderr
    assert json.loads(stdout)["version"] == 1


def _stopped_once_it_holds_the_lock(process: subprocess.Popen[str], project: Project) -> None:
    lock = project.settings.home / "locks" / "blobs.lock"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if lock.exists() and lock.stat().st_size:
            os.kill(process.pid, signal.SIGSTOP)
            return
        time.sleep(0.002)
    raise AssertionError(process.communicate())


def test_an_embedded_server_ends_with_a_command_that_was_killed(project: Project) -> None:
    own = type(project)(project.folder)
    killed = own.run(ONNXYARD_FAILPOINT="develop")
    assert killed.code == -9
    # Its stdout and stderr reached their end, and every process that held the embedded server's pipe is gone.
    deadline = time.monotonic() + 10
    while _embedded_servers(own) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _embedded_servers(own) == []


def _embedded_servers(project: Project) -> list[int]:
    import psutil  # noqa: PLC0415 - one question to the system

    home = str(project.settings.prefect)
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if "onnxyard_flows.embedded_server" in (process.info["cmdline"] or []):
            try:
                found += [process.pid] if process.environ().get("PREFECT_HOME") == home else []
            except psutil.Error:  # it has just ended
                continue
    return found
