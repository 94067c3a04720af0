"""Optimize: make candidates, measure them, and choose one per target."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.handover import OptimizedModel, OptimizeResult
from onnxyard.project.processing import load_processing
from onnxyard.runtimes.graph import read_graph
from onnxyard.stages.optimize.candidates import Made, compete, make_all

if TYPE_CHECKING:
    from onnxyard.lifecycle.candidate import Candidate
    from onnxyard.project.protocols import Report
    from onnxyard.stages.optimize.request import OptimizeRequest

MODEL_FILE = "model.onnx"


def run(request: OptimizeRequest, workspace: Path, report: Report | None = None) -> OptimizeResult:  # noqa: ARG001 - a stage's shape
    """Choose the fastest candidate that keeps the declared quality, for each target.

    Ranges are calibrated on the calibration split and the choice is made on the validation split. The test split is
    not read: it is kept for validate's gates, so that choosing does not flatter itself.

    Raises:
        UnsupportedModelError: the exported model itself does not run on a target.
        InvalidRequestError: the metric of the choice is not one of the project's.
        UserCodeError: the project's own code failed.
    """
    project = request.project.file
    functions = request.project.functions()
    splits = functions.data()
    processing = load_processing(request.processing)
    candidates: list[Candidate] = []
    models: list[OptimizedModel] = []
    with TemporaryDirectory(dir=workspace, prefix="candidates-") as scratch:
        made = make_all(
            project.optimize.recipes, request.model / MODEL_FILE, Path(scratch), splits.calibration, processing
        )
        for target, section in project.targets.items():
            entries = compete(
                made,
                target=target,
                section=section,
                goals=project.optimize,
                validation=splits.validation,
                functions=functions,
                processing=processing,
                seed=project.develop.seed,
            )
            candidates.extend(entries)
            chosen = next(entry for entry in entries if entry.chosen)
            models.append(_keep(next(one for one in made if one.recipe == chosen.recipe), target, workspace))
    return OptimizeResult(tuple(candidates), tuple(models))


def _keep(made: Made, target: str, workspace: Path) -> OptimizedModel:
    """Copy the chosen candidate to the workspace folder that carries its name to the next stage."""
    assert made.file is not None  # noqa: S101 - only a measured candidate is chosen
    folder = workspace / f"model-{target}"
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(made.file.parent, folder)
    graph = read_graph(folder / MODEL_FILE)
    return OptimizedModel(
        target, made.recipe, graph.precision, Artifact.of_folder(folder), graph.opset, graph.ir_version
    )
