"""`onnxyard up` for real: every server of one home on free ports, and all of it gone after Ctrl-C."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from sample_home import fill_home

FREE = [f"--{name}-port=0" for name in ("serving", "control", "dashboard", "mlflow", "prefect")]
START_SECONDS = 150


def environ() -> dict[str, str]:
    """Ours, without what would point elsewhere."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("ONNXYARD_", "PREFECT_", "MLFLOW_"))}


def onnxyard(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "onnxyard.cli", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environ())


@dataclass
class Running:
    process: subprocess.Popen[str]
    urls: dict[str, str]
    home: Path
    project: Path

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture(scope="module")
def up(tmp_path_factory) -> Iterator[Running]:
    project = tmp_path_factory.mktemp("up") / "digits"
    assert onnxyard("init", str(project), "--template", "digits").returncode == 0
    home = project / ".onnxyard"
    fill_home(home, project.parent / "scratch")
    command = [sys.executable, "-m", "onnxyard.cli", "up", "--home", str(home), "--json", *FREE]
    with (project.parent / "stderr").open("w+") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environ())
        line = process.stdout.readline()
        stderr.seek(0)
        assert line, stderr.read()
    running = Running(process, json.loads(line)["urls"], home, project)
    yield running
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    process.stdout.close()


def test_every_url_answers(up):
    assert set(up.urls) == {"dashboard", "serving", "control", "mlflow", "prefect"}
    for name, url in up.urls.items():
        assert httpx.get(url, follow_redirects=True, timeout=30).status_code == 200, name


def test_the_dashboard_leads_to_the_tools(up):
    page = httpx.get(up.urls["dashboard"]).text
    assert up.urls["mlflow"] in page
    assert up.urls["prefect"] in page


def test_the_home_s_project_is_scheduled_on_the_worker(up):
    api = up.urls["prefect"] + "/api"
    deployments = httpx.post(f"{api}/deployments/filter", json={}).json()
    assert {d["name"]: d["work_pool_name"] for d in deployments} == {"digits": "onnxyard", "drift-digits": "onnxyard"}
    workers = httpx.post(f"{api}/work_pools/onnxyard/workers/filter", json={}).json()
    assert [worker["status"] for worker in workers] == ["ONLINE"]


def test_a_second_one_for_the_same_home_names_the_first(up):
    done = onnxyard("up", "--home", str(up.home), *FREE)
    assert done.returncode == 5
    assert str(up.process.pid) in done.stderr


def test_only_loopback_is_listened_at(up):
    for process in (psutil.Process(up.process.pid), *up.family()):
        for connection in process.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip == "127.0.0.1", process.cmdline()


def test_nothing_is_written_outside_home(up):
    assert {path.name for path in up.project.iterdir()} - {".onnxyard", "__pycache__"} == {
        path.name
        for path in up.project.iterdir()
        if path.suffix in {".toml", ".py", ".md"} or path.name == ".gitignore"
    }
    logs = {path.stem for path in (up.home / "logs").iterdir()}
    assert {"serving", "control", "dashboard", "mlflow", "prefect", "worker"} <= logs


def test_ctrl_c_stops_every_child(up):
    """Last in this file: it ends what the tests above used."""
    family = up.family()
    assert len(family) >= 6
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    _, alive = psutil.wait_procs(family, timeout=5)
    assert [process.cmdline() for process in alive] == []


def test_a_port_in_use_is_named_before_anything_starts(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = onnxyard("up", "--home", str(tmp_path / "home"), *FREE, f"--control-port={port}")
    assert done.returncode == 5
    assert f"The port {port} that control wants" in done.stderr
    assert "--control-port" in done.stderr
    assert not (tmp_path / "home" / "logs").exists()


def test_one_dying_child_is_named_and_ends_the_rest(tmp_path):
    home = tmp_path / "home"
    (home / "prefect").mkdir(parents=True)
    (home / "prefect" / "prefect.db").mkdir()  # planted: a folder where Prefect's database should be
    done = onnxyard("up", "--home", str(home), *FREE)
    assert done.returncode == 75
    assert "prefect ended with exit code" in done.stderr
    assert str(home / "logs" / "prefect.log") in done.stderr
    left = [p for p in psutil.process_iter(["cmdline"]) if any(str(home) in part for part in p.info["cmdline"] or ())]
    assert left == []


def test_a_folder_without_a_project_is_refused(tmp_path):
    done = onnxyard("up", str(tmp_path), "--home", str(tmp_path / "home"), *FREE)
    assert done.returncode == 4
    assert "onnxyard.toml" in done.stderr
