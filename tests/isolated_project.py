"""A project whose framework lives in a toolchain, carried through develop and export."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from onnxyard.errors import NotFoundError
from onnxyard.project.project import load_project
from onnxyard.settings import Settings
from onnxyard.stages.develop.request import DevelopRequest
from onnxyard.stages.develop.stage import run as develop
from onnxyard.stages.export.request import ExportRequest
from onnxyard.stages.export.stage import run as export
from onnxyard.toolchains.catalogue import known
from onnxyard.toolchains.environment import Environment
from onnxyard.toolchains.installing import install, remove

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.lifecycle.handover import DevelopResult, ExportResult

TOML = """
[project]
name = "small"
module = "rows.py"
framework = "{framework}"
outputs = {outputs}
{more}
[export]
opset = {opset}

[develop]
{develop}

[gates.quality]
score = 0.0
"""
ROWS = """
import numpy as np
from onnxyard.project.data import Split, Splits

def data(config):
    random = np.random.default_rng(0)
    inputs = {inputs}
    return Splits(train=Split(inputs, np.zeros(64, dtype=np.int64)))

def metrics(targets, outputs):
    return {{"score": 1.0}}
"""


@dataclass(frozen=True)
class Carried:
    """What became of it."""

    root: Path
    home: Path
    work: Path

    def develop(self) -> DevelopResult:
        return develop(DevelopRequest(self._project()), self.work)

    def export(self, developed: DevelopResult, opset: int | None = None) -> ExportResult:
        if opset is not None:
            file = self.root / "onnxyard.toml"
            lines = [f"opset = {opset}" if line.startswith("opset") else line for line in file.read_text().splitlines()]
            file.write_text("\n".join(lines))
        request = ExportRequest(self._project(), developed, self.work / "fitted", self.work / "golden_set", None)
        return export(request, self.work / "exported")

    @property
    def model(self) -> onnx.ModelProto:
        return onnx.load(self.work / "exported" / "model" / "model.onnx")

    def _project(self):
        return replace(load_project(self.root), home=self.home)


def project(folder: Path, home: Path, framework: str, *, inputs: str, outputs: list[str], **more: str) -> Carried:
    """Write the project.

    Args:
        folder: Where; `project` and `work` are made in it.
        home: Has the toolchain.
        framework: The project's.
        inputs: An expression that gives 64 rows of each input; `random` is a numpy generator.
        outputs: The outputs' names.
        more: `training`, the training file's text; `develop`, lines of that section; `opset`.
    """
    root = folder / "project"
    root.mkdir(parents=True)
    training = more.get("training")
    if training is not None:
        (root / "training.py").write_text(training)
    (root / "rows.py").write_text(ROWS.format(inputs=inputs))
    (root / "onnxyard.toml").write_text(
        TOML.format(
            framework=framework,
            outputs=outputs,
            more="" if training is None else 'training = "training.py"\n',
            opset=more.get("opset", "17"),
            develop=more.get("develop", ""),
        )
    )
    return Carried(root, home, folder / "work")


@contextmanager
def installed(home: Path, name: str) -> Iterator[Path]:
    """The home, with the toolchain in it while the block runs (40 s and more than 1 GB each)."""
    environment = Environment(known(name), Settings.read(home=home))
    install(environment, lambda _said: None)
    try:
        yield home
    finally:
        with suppress(NotFoundError):
            remove(environment)
