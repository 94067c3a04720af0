"""Develop: from a project's code to a fitted model and its golden set."""

from __future__ import annotations

import math
import shutil
from importlib import import_module
from typing import TYPE_CHECKING

from onnxyard.errors import UserCodeError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.handover import DevelopResult, EpochMetrics
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.profile.layout import Layout
from onnxyard.project.evaluation import predict
from onnxyard.project.fingerprint import fingerprint
from onnxyard.project.processing import FILE, Processing, load_processing
from onnxyard.project.seeding import repeatable
from onnxyard.sources.by_name import source_of
from onnxyard.stages.develop.golden import choose_rows, write_golden_set
from onnxyard.tensors.dtypes import onnx_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from onnxyard.project.project import Project
    from onnxyard.project.protocols import Report
    from onnxyard.stages.develop.request import DevelopRequest


def run(request: DevelopRequest, workspace: Path, report: Report | None = None) -> DevelopResult:
    """Train the project's model (or take a checkpoint, or a finished file) and write its golden set.

    Everything that is random is seeded and torch's threads are fixed, so the same request gives the same digests.
    The golden set and the quality come from the stored weights, loaded anew: what later stages will start from.

    Args:
        request: The project.
        workspace: An empty folder; `fitted`, `golden_set` and `processing` are written into it.
        report: Told the metrics of each step of training.

    Raises:
        UserCodeError: the project's own code failed or returned the wrong thing.
        InvalidRequestError: [project.columns] does not fit the inputs.
    """
    develop = request.project.file.develop
    if "torch" in request.project.packages:
        import_module("torch")  # it can be told how to compute only once it is there
    with repeatable(develop.seed, threads=develop.threads, deterministic=develop.deterministic):
        return _develop(request.project, workspace, report)


def _develop(project: Project, workspace: Path, report: Report | None) -> DevelopResult:
    functions, develop = project.functions(), project.file.develop
    processing, processing_artifact = _processing(project, workspace / "processing")
    splits = functions.data()
    data_fingerprint, rows = fingerprint(splits, project.file.project.missing)
    history = _History(report)
    seen = splits.without("test")
    if processing.preprocess is not None:
        seen = seen.changed(processing.before)
    origin = source_of(project)
    framework = origin.fit(project, functions, seen, _empty(workspace / "fitted"), history)
    source = origin.load(project, workspace / "fitted")
    golden = splits.validation.take(choose_rows(splits.validation, develop.golden_rows, develop.seed))
    raw, outputs, answers = write_golden_set(_empty(workspace / "golden_set"), golden, processing, source.run)
    signature = Signature(_specs(raw, project.file.project.axes, project.file.project.missing), _specs(answers, {}))
    _check_names(project, signature, outputs)
    return DevelopResult(
        fitted=Artifact.of_folder(workspace / "fitted"),
        golden_set=Artifact.of_folder(workspace / "golden_set"),
        processing=processing_artifact,
        signature=signature,
        framework=framework,
        data_fingerprint=data_fingerprint,
        rows=rows,
        history=tuple(history.steps),
        quality=functions.metrics(*predict(splits.validation, processing, source.run)),
    )


class _History:
    """Keeps what `train` reports, and hands it on."""

    def __init__(self, report: Report | None) -> None:
        self.steps: list[EpochMetrics] = []
        self._report = report

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        values = {str(name): float(value) for name, value in metrics.items()}
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            raise UserCodeError(
                f"train reported {values[bad[0]]} for {bad[0]!r} at step {step}: training diverged.",
                remedy="Lower the learning rate, or clip the gradients.",
            )
        self.steps.append(EpochMetrics(int(step), values))
        if self._report is not None:
            self._report(int(step), values)


def _processing(project: Project, folder: Path) -> tuple[Processing, Artifact | None]:
    """The processing, loaded from the copy that will travel with the version."""
    file = project.file.project.processing
    if file is None:
        return Processing(), None
    shutil.copyfile(project.root / file, _empty(folder) / FILE)
    return load_processing(folder), Artifact.of_folder(folder)


def _check_names(project: Project, signature: Signature, outputs: Mapping[str, np.ndarray]) -> None:
    """What the project file calls by name is there. Later stages would find out too, but only later."""
    missing = [name for name in project.file.project.outputs if name not in outputs]
    if missing and not project.file.postprocess:  # its steps name other outputs, and miss what is not there themselves
        raise UserCodeError(
            f"The model has no output {missing[0]!r}.",
            where="[project] outputs",
            remedy=f"It gives {', '.join(outputs)}.",
        )
    Layout.of(signature, project.file.project.columns)


def _specs(
    tensors: Mapping[str, np.ndarray], axes: Mapping[str, tuple[int | str, ...]], missing: tuple[str, ...] = ()
) -> tuple[TensorSpec, ...]:
    """What a client may send or gets: the batch is free, and so are the axes that the project names."""
    return tuple(
        TensorSpec(name, onnx_name(values.dtype), ("batch", *axes.get(name, values.shape)[1:]), missing=name in missing)
        for name, values in tensors.items()
    )


def _empty(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
