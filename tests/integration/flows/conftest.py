"""A small project that trains in a moment, the command that runs it, and one Prefect server for all tests here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from onnxyard.bootstrap import Yard
from onnxyard.settings import Settings
from onnxyard_flows.environment import prefect_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODULE = """
import numpy as np
import torch
from onnxyard.project.data import Split, Splits


def data(config):
    rng = np.random.default_rng(config["seed"])
    sides = np.arange(800) % 2
    x = (rng.normal(size=(800, 4)) + 3.0 * sides[:, None]).astype(np.float32)
    return Splits(train=Split({"input": x}, sides))


def model(config):
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))


def train(splits, config, report):
    print("the project's own words")
    network = model(config)
    x, y = torch.from_numpy(splits.train.inputs["input"]), torch.from_numpy(splits.train.targets)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    for epoch in range(config["epochs"]):
        loss = torch.nn.functional.cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        report(epoch, {"loss": loss.item()})
    return network


def metrics(targets, outputs):
    return {"accuracy": float(np.mean(outputs["logits"].argmax(axis=1) == targets))}
"""
FILE = """
[project]
name = "blobs"
module = "blobs.py"
outputs = ["logits"]
[develop.config]
epochs = 40
[optimize]
repeats = 20
recipes = ["fp32", "int8-dynamic"]
tune = false
[gates]
size_bytes = 100000
[gates.quality]
accuracy = 0.9
[monitor]
every_minutes = 0.25
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """Its JSON: stdout holds nothing else."""
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    def reused(self) -> dict[str, bool]:
        """By stage: whether it was reused."""
        assert self.code == 0, self.stderr
        return {name: stage["reused"] for name, stage in self.document["stages"].items()}


@dataclass(frozen=True)
class Project:
    """A project in a folder of its own, with its home."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings.read(start=self.folder, environ=self.environ)

    @property
    def yard(self) -> Yard:
        return Yard(self.settings)

    def start(self, *arguments: str, cwd: Path | None = None, **environ: str) -> subprocess.Popen[str]:
        """One of our commands, as a process."""
        return subprocess.Popen(
            [sys.executable, "-m", "onnxyard.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env={**os.environ, "OMP_NUM_THREADS": "1", **self.environ, **environ},
        )

    def command(self, *arguments: str, cwd: Path | None = None, **environ: str) -> Ended:
        """One of our commands, to its end."""
        process = self.start(*arguments, cwd=cwd, **environ)
        stdout, stderr = process.communicate(timeout=180)
        return Ended(process.returncode, stdout, stderr)

    def run(self, *arguments: str, **environ: str) -> Ended:
        """`onnxyard run DIR --json`."""
        return self.command("run", str(self.folder), "--json", *arguments, **environ)

    def edit(self, before: str, after: str) -> None:
        """Change the project file."""
        file = self.folder / "onnxyard.toml"
        text = file.read_text()
        assert before in text
        file.write_text(text.replace(before, after))


@pytest.fixture
def new_project(tmp_path: Path, prefect_server: str) -> Callable[..., Project]:
    """Write the project; it uses the session's Prefect server unless told otherwise."""

    def make(*, embedded: bool = False) -> Project:
        folder = tmp_path / "blobs"
        folder.mkdir()
        (folder / "blobs.py").write_text(MODULE)
        (folder / "onnxyard.toml").write_text(FILE)
        return Project(folder, {} if embedded else {"ONNXYARD_PREFECT_API_URL": prefect_server})

    return make


@pytest.fixture
def project(new_project: Callable[..., Project]) -> Project:
    return new_project()


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> tuple[Project, Ended]:
    """A project that was carried to live once, with an embedded server; tests copy it or leave it as it is."""
    folder = tmp_path_factory.mktemp("carried") / "blobs"
    folder.mkdir()
    (folder / "blobs.py").write_text(MODULE)
    (folder / "onnxyard.toml").write_text(FILE)
    first = Project(folder).run()
    assert first.code == 0, first.stderr
    return Project(folder, {"ONNXYARD_PREFECT_API_URL": prefect_server}), first


@pytest.fixture
def copy_of_carried(carried: tuple[Project, Ended], tmp_path: Path) -> Project:
    """The carried project with its home, free to be broken."""
    original, _ = carried
    folder = tmp_path / "blobs"
    shutil.copytree(original.folder, folder)
    return Project(folder, original.environ)


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prefect server; its API's URL."""
    home = tmp_path_factory.mktemp("prefect-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-ui",
    ]
    environ = os.environ | prefect_environment(Settings.read(home=home, environ={})) | {"PREFECT_API_URL": url}
    # Its scheduler looks for due runs every minute: a schedule of seconds needs it to look more often.
    environ |= {"PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2"}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(f"{url}/health", process, home / "log")
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Readiness loop: a server offers nothing to wait on but its answer."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - http on loopback
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text()[-3000:])
