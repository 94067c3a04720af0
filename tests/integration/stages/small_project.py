"""A project small enough to train in a test, and its way through the stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from onnxyard.lifecycle.handover import DevelopResult, ExportResult, OptimizeResult
from onnxyard.project.project import Project, load_project
from onnxyard.runtimes.machine import fingerprint
from onnxyard.stages.develop.request import DevelopRequest
from onnxyard.stages.develop.stage import run as develop
from onnxyard.stages.export.request import ExportRequest
from onnxyard.stages.export.stage import run as export
from onnxyard.stages.optimize.request import OptimizeRequest
from onnxyard.stages.optimize.stage import run as optimize
from onnxyard.stages.validate.request import ValidateRequest

MODULE = """
import numpy as np
import torch
from torch import nn

from onnxyard.project.data import Split, Splits


def rows(count, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    centres = np.array([[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0]])
    values = (centres[labels] + random.normal(size=(count, 4))) * 10
    return Split({"measured": np.rint(values).astype(np.int32)}, labels)


def data(config):
    return Splits(train=rows(200, 1), calibration=rows(64, 2), validation=rows(150, 3), test=rows(400, 4))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3))

    def forward(self, features):
        return self.body(features)


def model(config):
    return Network()


def train(splits, config, report):
    network = model(config)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    features = torch.from_numpy(splits.train.inputs["features"])
    for epoch in range(40):
        loss = nn.functional.cross_entropy(network(features), torch.from_numpy(splits.train.targets))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    report(0, {"loss": loss.item()})
    return network


def metrics(targets, outputs):
    return {"accuracy": float(np.mean(outputs["logits"].argmax(axis=1) == targets))}
"""

PROCESSING = """
import numpy as np


def preprocess(raw):
    return {"features": raw["measured"].astype(np.float32) / 10}


def postprocess(outputs):
    return {"label": outputs["logits"].argmax(axis=1)}
"""

FILE = """
[project]
name = "small"
module = "small.py"
processing = "processing.py"
outputs = ["logits"]

[project.columns]
measured = ["a", "b", "c", "d"]

[develop]
seed = 3
golden_rows = 16
threads = 1

[optimize]
recipes = ["fp32", "int8-qdq", "int8-dynamic"]
tune = false
max_drop = 0.02
repeats = 30

[gates]
max_flips = 0.1
p99_ms = 50.0
size_bytes = 100_000

[gates.quality]
accuracy = 0.9

[gates.max_drop]
accuracy = 0.03
"""


def write_project(root: Path, *, module: str = MODULE, file: str = FILE, processing: str = PROCESSING) -> Project:
    """Write the project's three files and load it."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "small.py").write_text(module)
    (root / "processing.py").write_text(processing)
    (root / "onnxyard.toml").write_text(file)
    return load_project(root)


@dataclass
class Way:
    """A project's results so far, and requests for the next stage built from them."""

    project: Project
    workspace: Path
    developed: DevelopResult = field(init=False)
    exported: ExportResult = field(init=False)
    optimized: OptimizeResult = field(init=False)

    def folder(self, stage: str) -> Path:
        folder = self.workspace / stage
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def processing(self) -> Path | None:
        return self.workspace / "develop" / "processing" if self.developed.processing else None

    def develop(self) -> Way:
        self.developed = develop(DevelopRequest(self.project), self.folder("develop"))
        return self

    def export_request(self) -> ExportRequest:
        made = self.workspace / "develop"
        return ExportRequest(self.project, self.developed, made / "fitted", made / "golden_set", self.processing)

    def export(self) -> Way:
        self.exported = export(self.export_request(), self.folder("export"))
        return self

    def optimize_request(self) -> OptimizeRequest:
        model = self.workspace / "export" / "model"
        return OptimizeRequest(self.project, self.developed, self.exported, model, self.processing, fingerprint())

    def optimize(self) -> Way:
        self.optimized = optimize(self.optimize_request(), self.folder("optimize"))
        return self

    def validate_request(self) -> ValidateRequest:
        made = self.workspace / "develop"
        return ValidateRequest(
            self.project,
            self.developed,
            self.exported,
            self.optimized,
            {one.target: self.workspace / "optimize" / f"model-{one.target}" for one in self.optimized.models},
            made / "fitted",
            made / "golden_set",
            self.processing,
            fingerprint(),
        )
