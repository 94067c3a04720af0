"""A database, an MLflow and a port that cannot be had."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from e2e.bad_input.refusals import OWN_WORDS, change, kept_results, nothing_half_written, refused

if TYPE_CHECKING:
    from integration.flows.conftest import Project


def test_a_database_that_does_not_answer(project: Project, closed_port: int) -> None:
    before = kept_results(project)
    url = f"postgresql://me:secret@127.0.0.1:{closed_port}/yard"
    told = refused(project.run(ONNXYARD_DATABASE_URL=url), 75, "unreachable")
    assert told.detail.startswith("The registry's database does not answer: ")
    assert told.where == url.replace("secret", "***")
    assert "ONNXYARD_DATABASE_URL" in told.remedy
    assert kept_results(project) == before
    nothing_half_written(project)


def test_an_mlflow_that_does_not_answer_is_told_before_any_stage_starts(project: Project, closed_port: int) -> None:
    change(project, "lr=0.05", "lr=0.04")  # develop would have to run
    before = kept_results(project)
    url = f"http://127.0.0.1:{closed_port}"
    ended = project.run(ONNXYARD_MLFLOW_TRACKING_URI=url)
    told = refused(ended, 75, "unreachable")
    assert told.detail.startswith("MLflow does not answer: ")
    assert told.where == url
    assert "ONNXYARD_MLFLOW_TRACKING_URI" in told.remedy
    assert OWN_WORDS not in ended.stderr
    assert kept_results(project) == before
    nothing_half_written(project)


def test_a_port_in_use(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:  # which says nothing
        port = holder.getsockname()[1]
        home = str(project.settings.home)
        told = refused(project.command("serve", "--json", "--port", str(port), "--home", home), 5, "conflict")
    assert told.detail == f"Port {port} of 127.0.0.1 is in use."
    assert "--port" in told.remedy
    assert not project.settings.replicas.exists()
    nothing_half_written(project)
