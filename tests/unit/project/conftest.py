from pathlib import Path

import pytest

FILE = """\
[project]
name = "toy"
module = "toy.py"
outputs = ["y"]

[gates.quality]
score = 0.5
"""
CODE = """\
import numpy as np
from onnxyard.project.data import Split, Splits


def data(config):
    x = np.arange(40, dtype=np.float32).reshape(20, 2)
    return Splits(train=Split({"x": x}, np.arange(20) % 2))


def metrics(targets, outputs):
    return {"score": 1.0}
"""


@pytest.fixture
def write(tmp_path):
    """Writes a project: write(code=..., file=..., **more files by name with _ for the dot) -> its folder."""

    def write(*, code: str = CODE, file: str = FILE, **files: str) -> Path:
        for name, text in {"toy_py": code, "onnxyard_toml": file, **files}.items():
            (tmp_path / ".".join(name.rsplit("_", 1))).write_text(text)
        return tmp_path

    return write
