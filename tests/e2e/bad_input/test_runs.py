"""Two runs at once, and a run whose version does not pass its gates."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from e2e.bad_input.refusals import DEADLINE_SECONDS, nothing_half_written, refused, rendered, said

if TYPE_CHECKING:
    import subprocess

    from integration.flows.conftest import Project


def test_two_runs_of_one_project_at_once(project: Project) -> None:
    first = project.start("run", str(project.folder), "--json")
    try:
        stop_once_it_holds_the_lock(first, project)
        told = refused(project.run(), 5, "conflict")
        assert told.context["pid"] == first.pid
        assert told.detail.startswith(f"A run of blobs is under way: process {first.pid} on ")
    finally:
        os.kill(first.pid, signal.SIGCONT)
        stdout, stderr = first.communicate(timeout=DEADLINE_SECONDS)
    assert first.returncode == 0, stderr
    assert json.loads(stdout)["version"] == 1
    nothing_half_written(project)


def stop_once_it_holds_the_lock(process: subprocess.Popen[str], project: Project) -> None:
    lock, pause = project.settings.home / "locks" / "blobs.lock", threading.Event()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if f'"pid": {process.pid},' in lock.read_text():
            os.kill(process.pid, signal.SIGSTOP)
            return
        pause.wait(0.002)
    raise AssertionError(process.communicate())


@pytest.mark.parametrize(
    ("edit", "name", "outcome", "told"),
    [
        (("size_bytes = 100000", "size_bytes = 10"), "size@cpu", "failed", "against 10"),
        (("accuracy = 0.9", "accuracy = 0.999"), "quality:accuracy@cpu", "underpowered", "give more test rows"),
    ],
    ids=["failed", "underpowered"],
)
def test_a_gate_that_does_not_pass_keeps_the_version_as_rejected_and_deploys_nothing(
    project: Project, edit: tuple[str, str], name: str, outcome: str, told: str
) -> None:
    project.edit(*edit)
    ended = project.run()
    assert ended.code == 6, ended.stderr
    document = ended.document
    assert (document["version"], document["status"], document["generation"]) == (2, "rejected", 1)
    error = document["error"]
    assert said(ended) == rendered(error)
    assert error["detail"] == "blobs@2 is rejected: 1 of 4 gates did not pass."
    [gate] = error["context"]["gates"]
    assert (gate["name"], gate["outcome"]) == (name, outcome)
    [problem] = error["context"]["problems"]
    assert problem.startswith(f"{name}: ")
    assert told in problem
    assert error["context"]["remedy"].startswith("Nothing was deployed.")
    nothing_half_written(project, versions=2)
