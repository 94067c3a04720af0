"""Files made to do harm, given to the real commands: one message that says what and where, and nothing left behind.

How long a refusal may take is counted in processor time of the command and its children, which a busy machine does not
lengthen; the clock has a generous bound of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest

import hostile
from live import ONNXYARD
from onnxyard.lifecycle.digest import file_digest

if TYPE_CHECKING:
    from pathlib import Path

REFUSED_SECONDS = 10
DEADLINE_SECONDS = 120
MEMORY_BYTES = 1 << 30
"""More than the command needs, and far less than the files ask for."""

OTHER_KINDS = ("caffemodel", "saved model", "zip bomb")

MODULE = """
import numpy as np
from onnxyard.project.data import Split, Splits

def data(config):
    return Splits(train=Split({"features": np.ones((200, 4), np.float32)}, np.ones(200)))

def metrics(targets, outputs):
    return {"score": 1.0}
"""
FILE = """
[project]
name = "hostile"
module = "hostile_project.py"
outputs = ["scores"]
{lines}
[gates.quality]
score = 0.5
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str
    seconds: float
    peak: int

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.stdout))


MEASURE = """
import json, os, subprocess, sys
running = subprocess.Popen(sys.argv[2:])
_, status, used = os.wait4(running.pid, 0)
with open(sys.argv[1], "w") as file:
    json.dump([os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss << 10], file)
"""
"""Runs a command and writes its exit code, processor seconds and peak bytes, all with its own children.

In a small process of its own: Linux counts what a parent held when it started a command as the command's own peak
(`ru_maxrss` outlives `exec`), and a process that runs tests may hold more than the bound.
"""


def command(*arguments: object, cwd: Path) -> Ended:
    """Run it, measured; no process of it is left."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr, tempfile.NamedTemporaryFile() as used:
        others = {one.pid for one in psutil.Process().children(recursive=True)}  # of tests before this one
        subprocess.run(
            [sys.executable, "-S", "-c", MEASURE, used.name, *ONNXYARD, *map(str, arguments)],
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            env=environ(cwd),
            check=True,
        )
        assert time.monotonic() - began < DEADLINE_SECONDS
        left = {one.pid for one in psutil.Process().children(recursive=True)} - others
        assert not left
        said = []
        for file in (stdout, stderr):
            file.seek(0)
            said.append(file.read().decode())
        code, seconds, peak = json.load(used)
    return Ended(code, *said, seconds, peak)


def test_a_peak_is_the_commands_own(tmp_path):
    held = bytearray(MEMORY_BYTES + (64 << 20))
    held[:: 4 << 10] = b"x" * len(held[:: 4 << 10])  # touched, page by page
    assert command("--version", cwd=tmp_path).peak < MEMORY_BYTES


def environ(folder: Path) -> dict[str, str]:
    return {**os.environ, "ONNXYARD_HOME": str(folder / "home")}


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if "home" not in path.parts}


@pytest.mark.parametrize(
    "name",
    [
        "greedy at run time",
        pytest.param("hidden loop", marks=pytest.mark.slow),
        pytest.param("nested functions", marks=pytest.mark.slow),
        pytest.param("cut short", marks=pytest.mark.slow),
    ],
)
def test_the_doctor_calls_a_bomb_blocked(tmp_path, name):
    write, code, said = {
        **hostile.BOMBS,
        "hidden loop": (hostile.hidden_endless_loop, "resource-bomb", "while running it on a small input"),
    }[name]
    file = write(tmp_path / "model.onnx")
    ended = command("doctor", file, "--json", cwd=tmp_path)
    assert ended.code == 7, ended.stderr
    (finding,) = ended.document["findings"]
    assert (finding["code"], finding["severity"]) == (code, "blocked")
    assert said in finding["what"]
    assert finding["remedy"]
    assert ended.seconds < REFUSED_SECONDS
    assert ended.peak < MEMORY_BYTES
    assert files_of(tmp_path) == {"model.onnx"}


@pytest.mark.parametrize("name", ["pickle", *(pytest.param(each, marks=pytest.mark.slow) for each in OTHER_KINDS)])
def test_the_doctor_calls_what_is_no_model_by_its_name(tmp_path, name):
    write, called = hostile.OTHERS[name]
    write(tmp_path / "model.onnx")
    ended = command("doctor", tmp_path / "model.onnx", cwd=tmp_path)
    assert ended.code == 7
    assert called in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    assert files_of(tmp_path) == {"model.onnx"}


@pytest.mark.parametrize(
    ("name", "code", "kind"),
    [
        pytest.param("greedy at run time", 7, "unsupported-model", marks=pytest.mark.slow),
        ("bit flipped", 8, "artifact-corrupt"),
    ],
)
def test_export_refuses_a_bomb(tmp_path, name, code, kind):
    write, finding, said = hostile.BOMBS[name]
    write(tmp_path / "model.onnx")
    ended = command("export", "model.onnx", "--output", "exported", "--json", cwd=tmp_path)
    assert ended.code == code, ended.stderr
    error = ended.document["error"]
    assert error["code"] == kind
    assert said in error["detail"]
    assert error["context"]["finding"] == finding
    assert error["context"]["where"].endswith("model.onnx")
    assert error["context"]["remedy"]
    assert "Traceback" not in ended.stderr
    assert ended.seconds < REFUSED_SECONDS
    assert files_of(tmp_path) == {"model.onnx"}


def write_project(root: Path, lines: str) -> Path:
    root.mkdir()
    (root / "hostile_project.py").write_text(MODULE)
    (root / "onnxyard.toml").write_text(FILE.format(lines=lines))
    return root


def run_refused(tmp_path: Path, root: Path) -> dict[str, Any]:
    """`onnxyard run` refuses the project, and keeps nothing of it."""
    began = files_of(root) - {"__pycache__"}
    ended = command("run", root, "--json", cwd=tmp_path)
    assert ended.code in {3, 7, 8}, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.peak < MEMORY_BYTES
    assert {name for name in files_of(root) if "__pycache__" not in name} == began
    return dict(ended.document["error"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["greedy at run time", "endless loop", "unknown domain", "cut short", "overflowing shape"]
)
def test_a_run_refuses_a_finished_file_that_is_a_bomb(tmp_path, name):
    write, code, said = hostile.BOMBS[name]
    root = write_project(tmp_path / "project", 'onnx = "model.onnx"')
    write(root / "model.onnx")
    error = run_refused(tmp_path, root)
    assert said in error["detail"]
    assert error["context"]["finding"] == code


@pytest.mark.slow
def test_a_run_refuses_a_finished_file_that_its_own_rows_make_endless(tmp_path):
    root = write_project(tmp_path / "project", 'onnx = "model.onnx"')
    hostile.endless_for_ones(root / "model.onnx")
    error = run_refused(tmp_path, root)
    assert "while running it on the project's first rows" in error["detail"]
    assert error["context"]["finding"] == "resource-bomb"


@pytest.mark.slow
def test_blame_refuses_a_file_that_the_rows_to_compare_on_make_endless(tmp_path):
    hostile.sound(tmp_path / "right.onnx")
    hostile.endless_for_ones(tmp_path / "model.onnx")
    np.savez(tmp_path / "rows.npz", features=np.ones((6, 4), np.float32))
    files = files_of(tmp_path)
    asked = ("blame", "right.onnx", "--against", "model.onnx", "--inputs", "rows.npz", "--json")
    ended = command(*asked, cwd=tmp_path)
    assert ended.code == 7, ended.stderr
    error = ended.document["error"]
    assert "while running it on the rows to compare on" in error["detail"]
    assert error["context"]["finding"] == "resource-bomb"
    assert error["context"]["where"].endswith("model.onnx")
    assert "Traceback" not in ended.stderr
    assert ended.peak < MEMORY_BYTES
    assert files_of(tmp_path) == files


@pytest.mark.slow
def test_a_run_refuses_a_finished_file_with_another_digest(tmp_path):
    root = write_project(tmp_path / "project", f'onnx = "model.onnx"\nonnx_sha256 = "{"0" * 64}"')
    hostile.sound(root / "model.onnx")
    error = run_refused(tmp_path, root)
    assert error["code"] == "artifact-corrupt"
    assert file_digest(root / "model.onnx") in error["detail"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [("torch checkpoint", "no plain state dict"), ("pickle", "no plain state dict"), ("zip bomb", "zip bomb")],
)
def test_a_run_refuses_a_checkpoint_that_is_no_state_dict(tmp_path, name, said):
    root = write_project(tmp_path / "project", '[develop]\ncheckpoint = "weights.pt"')
    module = MODULE + "\ndef model(config):\n    from torch import nn\n    return nn.Linear(4, 1)\n"
    (root / "hostile_project.py").write_text(module)
    hostile.OTHERS[name][0](root / "weights.pt")
    error = run_refused(tmp_path, root)
    assert said in error["detail"]
    assert error["context"]["where"] == "weights.pt"
    assert not (root / "ran").exists()
