"""Optimize: search for the model and the setup that meet each target's goals best."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.handover import OptimizedModel, OptimizeResult
from onnxyard.measuring.bench import Bench
from onnxyard.project.agreement import BASELINE
from onnxyard.project.processing import load_processing
from onnxyard.runtimes.entry import entry_file
from onnxyard.runtimes.graph import read_graph
from onnxyard.stages.optimize.examiner import Examiner, Subject
from onnxyard.stages.optimize.goals import Goals
from onnxyard.stages.optimize.journal import Journal
from onnxyard.stages.optimize.makers import Makers
from onnxyard.stages.optimize.passes.calibration import check_calibration
from onnxyard.stages.optimize.quality import Examination
from onnxyard.stages.optimize.recipes.catalogue import RECIPES
from onnxyard.stages.optimize.report.report import write_report
from onnxyard.stages.optimize.search import Found, Search
from onnxyard.stages.optimize.shelf import Shelf
from onnxyard.stages.optimize.space import check_named, space_of
from onnxyard.tensors.files import read_tensors, write_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxyard.lifecycle.candidate import Candidate
    from onnxyard.lifecycle.signature import Signature
    from onnxyard.project.processing import Processing
    from onnxyard.project.protocols import Report
    from onnxyard.project.split import Split
    from onnxyard.stages.optimize.request import OptimizeRequest

MODEL_FILE = "model.onnx"
CALIBRATION_ROWS_PER_BATCH = 32
CALIBRATION_BATCHES = 32
"""At most 1024 rows: ranges settle long before."""
SHELF_BYTES = 8 << 30
"""What passes made is kept up to this size: some hundred candidates of a model of 100 MB."""
_SHARE = {"p99": 99.0}
"""The percentile that decides, where it is not the median."""


def run(request: OptimizeRequest, workspace: Path, report: Report | None = None) -> OptimizeResult:
    """Choose, for each target, what `[optimize] minimize` names among all that keeps the declared quality.

    Ranges are calibrated on the calibration split and the choice is made on the validation split. The test split is
    not read: it is kept for validate's gates, so that choosing does not flatter itself.

    Raises:
        UnsupportedModelError: the exported model itself does not run on a target.
        InvalidRequestError: the metric of the choice is not one of the project's; the calibration split does not fit
            the model, or is constant; a recipe fits no target; the budget is too small.
        MissingExtraError: a target's runtime is not installed.
        GateFailedError: no candidate meets every goal of a target.
        UserCodeError: the project's own code failed.
    """
    project = request.project.file
    # Asked first: what is missing should not be told after minutes of search.
    spaces = {
        target: space_of(section, project.optimize, RECIPES, baseline=BASELINE)
        for target, section in project.targets.items()
    }
    check_named(spaces.values(), project.optimize.recipes, RECIPES)
    functions = request.project.functions()
    splits = functions.data()
    processing = load_processing(request.processing)
    found: dict[str, Found] = {}
    with ExitStack() as stack:
        place = Place(Path(stack.enter_context(TemporaryDirectory(dir=workspace, prefix="search-"))), request.shelf)
        source = request.model / MODEL_FILE
        rows = _write_calibration(splits.calibration, processing, place.calibration)
        if any(each.calibrates for each in spaces.values()):
            batches = (read_tensors(folder) for folder in sorted(place.calibration.iterdir()))
            check_calibration(batches, _as_developed(read_graph(source).signature, request.developed.signature))
        examination = Examination(
            splits.validation,
            processing,
            functions,
            project.optimize,
            place.validation,
            seed=project.develop.seed,
        )
        makers = stack.enter_context(
            Makers(
                {
                    "root": str(request.project.root),
                    "calibration": str(place.calibration),
                    "rows": rows,
                    "materials": request.developed.data_fingerprint,
                    "max_drop": project.optimize.max_drop,
                    "metric": project.optimize.metric,
                    "shelf": str(place.shelf),
                },
                source,
                place.made,
                scratch=place.children,
                workers=request.workers,
                dask=request.dask,
                home=request.project.home,
            )
        )
        tried = 0
        for target, section in project.targets.items():
            goals = Goals.of(section, project.optimize)
            subject = Subject(
                name=target,
                space=spaces[target],
                goals=goals,
                inputs={size: first_rows(splits.validation, processing, size) for size in section.batch_sizes},
                weights=goals.weights(section.batch_sizes),
                portable=section.portable,
                share=_SHARE.get(project.optimize.minimize, 50.0),
                seed=project.develop.seed,
                start=partial(Bench, scratch=place.children, home=request.project.home),
            )
            journal = Journal(place.journals / f"{request.key()}-{target}.jsonl")

            def progress(step: int, metrics: Mapping[str, float], before: int = tried) -> None:
                if report is not None:
                    report(before + step, metrics)

            with closing(Examiner(subject, examination)) as examiner:
                found[target] = Search(
                    examiner,
                    makers,
                    journal,
                    budget_s=project.optimize.budget_s,
                    repeats=project.optimize.repeats,
                    workers=request.workers,
                    progress=progress,
                ).run()
            journal.close()
            tried += len(found[target].candidates)
        models = tuple(_keep(each, target, workspace, request) for target, each in found.items())
        for each in found.values():
            _keep_candidates(each, workspace)
        Shelf(place.shelf).prune(SHELF_BYTES, now=time.time())
    candidates = tuple(candidate for each in found.values() for candidate in each.candidates)
    return OptimizeResult(candidates, models, _report(request, candidates, workspace))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a search keeps its things.

    Attributes:
        root: Gone with the stage.
        kept: Outlives it; None keeps nothing.
    """

    root: Path
    kept: Path | None

    @property
    def calibration(self) -> Path:
        """The calibration split's model inputs, one folder a batch."""
        return self.root / "calibration"

    @property
    def validation(self) -> Path:
        """The validation split's model inputs, one folder a batch."""
        return self.root / "validation"

    @property
    def made(self) -> Path:
        """Candidates, one folder a recipe."""
        return self.root / "made"

    @property
    def children(self) -> Path:
        """Scratch and logs of child processes."""
        return self.root / "children"

    @property
    def shelf(self) -> Path:
        """What passes made, by content."""
        return (self.kept or self.root) / "passes"

    @property
    def journals(self) -> Path:
        """How far searches came."""
        return (self.kept or self.root) / "searches"


def first_rows(split: Split, processing: Processing, rows: int) -> Mapping[str, np.ndarray]:
    """`rows` model inputs of a split; its rows are repeated where it has fewer."""
    inputs = processing.before(split.take(rows).inputs)
    return {name: np.resize(array, (rows, *array.shape[1:])) for name, array in inputs.items()}


def _as_developed(graph: Signature, developed: Signature) -> Signature:
    """The graph's signature with what only the project knows: in which inputs a value may be missing."""
    missing = {spec.name for spec in developed.inputs if spec.missing}
    return replace(graph, inputs=tuple(replace(spec, missing=spec.name in missing) for spec in graph.inputs))


def _write_calibration(split: Split, processing: Processing, folder: Path) -> int:
    rows = 0
    for number, batch in enumerate(islice(split.batches(CALIBRATION_ROWS_PER_BATCH), CALIBRATION_BATCHES)):
        write_tensors(folder / f"{number:04d}", processing.before(batch.inputs))
        rows += len(batch.targets)
    return rows


def _keep(found: Found, target: str, workspace: Path, request: OptimizeRequest) -> OptimizedModel:
    """Copy the chosen candidate to the workspace folder that carries its name to the next stage."""
    candidate = found.chosen.candidate
    folder = _copied(found.file[candidate.name], workspace / f"model-{target}")
    entry = entry_file(folder)
    exported = request.exported
    opset, ir_version = exported.opset, exported.ir_version
    if entry.suffix == ".onnx":
        graph = read_graph(entry)
        opset, ir_version = graph.opset, graph.ir_version
    return OptimizedModel(
        target, candidate.recipe, candidate.setup, candidate.precision, Artifact.of_folder(folder), opset, ir_version
    )


def _keep_candidates(found: Found, workspace: Path) -> None:
    for candidate in found.candidates:
        if candidate.artifact is not None:
            folder = workspace / f"candidate-{candidate.artifact.digest[:16]}"
            if not folder.exists():
                _copied(found.file[candidate.name], folder)


def _copied(file: Path, folder: Path) -> Path:
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(file.parent, folder)
    return folder


def _report(request: OptimizeRequest, candidates: tuple[Candidate, ...], workspace: Path) -> Artifact:
    goals = request.project.file.optimize
    return write_report(
        workspace / "report",
        candidates,
        model=request.project.name,
        minimize=goals.minimize,
        metric=goals.metric,
        max_drop=goals.max_drop,
        confidence=goals.confidence,
    )
