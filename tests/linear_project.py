"""A small linear classifier as a project, its graph, and its calibration rows: what makers are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import graphs
from onnxyard.tensors.files import write_tensors

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
import numpy as np

from onnxyard.project.data import Split, Splits


def rows(count, seed):
    features = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    weights = (np.random.default_rng(0).normal(size=(4, 3))).astype(np.float32)
    return Split({"features": features}, (features @ weights).argmax(axis=1))


def data(config):
    return Splits(train=rows(64, 1), calibration=rows(64, 2), validation=rows(64, 3), test=rows(64, 4))


def metrics(targets, outputs):
    return {"accuracy": float(np.mean(outputs["scores"].argmax(axis=1) == targets))}
"""
FILE = """
[project]
name = "linear"
module = "linear.py"
outputs = ["scores"]
onnx = "model/model.onnx"

[gates.quality]
accuracy = 0.5
"""


def linear_project(root: Path) -> tuple[Path, dict[str, Any]]:
    """Write it below `root`: the model's file, and what `onnxyard.stages.optimize.making_child.prepare` takes."""
    folder = root / "project"
    source, _ = graphs.linear(folder / "model" / "model.onnx")
    (folder / "linear.py").write_text(MODULE)
    (folder / "onnxyard.toml").write_text(FILE)
    features = np.random.default_rng(2).normal(size=(64, 4)).astype(np.float32)
    for at in range(2):
        write_tensors(root / "calibration" / f"{at:04d}", {"features": features[at * 32 :][:32]})
    told = {
        "root": str(folder),
        "calibration": str(root / "calibration"),
        "rows": 64,
        "materials": "these rows",
        "max_drop": 0.1,
        "metric": "accuracy",
        "shelf": str(root / "shelf"),
    }
    return source, told
