from pathlib import Path

import pytest

from onnxyard.project.project import load_project
from onnxyard.stages.develop.request import DevelopRequest
from onnxyard.stages.develop.stage import run

FILE = """\
[project]
name = "toy"
module = "toy.py"
outputs = ["y"]

[develop]
seed = 3
golden_rows = 8

[gates.quality]
score = 0.0
"""
CODE = """\
import numpy as np
import torch
from torch import nn

from onnxyard.project.data import Split, Splits

X = np.linspace(-1, 1, 400, dtype=np.float32).reshape(200, 2)
Y = (X.sum(axis=1) > 0).astype(np.int64)


def data(config):
    return Splits(train=Split({"x": X}, Y))


def model(config):
    return nn.Linear(2, 2)


def metrics(targets, outputs):
    return {"score": float(np.mean(outputs["y"].argmax(axis=1) == targets))}
"""
LINEAR = """

class Named(nn.Linear):
    def forward(self, x):
        return super().forward(x)


def model(config):
    return Named(2, 2)
"""


@pytest.fixture
def write(tmp_path):
    """Writes a project: write(body to append, file=..., bytes by file name) -> its folder."""

    def write(body: str = "", *, file: str = FILE, **files: bytes) -> Path:
        root = tmp_path / "project"
        root.mkdir(exist_ok=True)
        for name, content in files.items():
            (root / ".".join(name.rsplit("_", 1))).write_bytes(content)
        (root / "toy.py").write_text(CODE + LINEAR + body)
        (root / "onnxyard.toml").write_text(file)
        return root

    return write


@pytest.fixture
def develop(tmp_path):
    """Runs the stage on a folder, in a fresh workspace -> (result, workspace)."""
    count = iter(range(9))

    def develop(root: Path, report=None):
        workspace = tmp_path / f"workspace-{next(count)}"
        workspace.mkdir()
        return run(DevelopRequest(load_project(root)), workspace, report), workspace

    return develop
