"""The four stages that make a version: their requests, built from what the ones before gave.

A stage's code is imported when it runs: a lifecycle that reuses everything needs neither torch nor a runtime.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from onnxyard.lifecycle.handover import DevelopResult, ExportResult, OptimizeResult, ValidateResult
from onnxyard.runtimes.machine import fingerprint
from onnxyard.stages.develop.request import DevelopRequest
from onnxyard.stages.export.request import ExportRequest
from onnxyard.stages.optimize.request import OptimizeRequest
from onnxyard.stages.validate.request import ValidateRequest
from onnxyard_flows.progress import known_steps
from onnxyard_flows.stage_tasks import StageJob

if TYPE_CHECKING:
    from onnxyard.project.project import Project
    from onnxyard.project.protocols import Report
    from onnxyard_flows.stage_tasks import Workshop

ANYWHERE = Path()
"""A request's key does not depend on where its inputs lie."""


class Stage(StrEnum):
    """The stages, in order."""

    DEVELOP = "develop"
    EXPORT = "export"
    OPTIMIZE = "optimize"
    VALIDATE = "validate"
    DEPLOY = "deploy"


@dataclass
class Made:
    """What the stages gave so far."""

    developed: DevelopResult
    exported: ExportResult | None = None
    optimized: OptimizeResult | None = None
    validated: ValidateResult | None = None


def make(workshop: Workshop, *, until: Stage) -> Made:
    """Develop, export, optimize and validate, up to and with `until`. Raises what the stages raise."""
    project = workshop.project
    made = Made(workshop.result(_develop(project)))
    if until is Stage.DEVELOP:
        return made
    made.exported = workshop.result(_export(project, made.developed))
    if until is Stage.EXPORT:
        return made
    made.optimized = workshop.result(_optimize(workshop, made.developed, made.exported))
    if until is Stage.OPTIMIZE:
        return made
    made.validated = workshop.result(_validate(project, made.developed, made.exported, made.optimized))
    return made


def _develop(project: Project) -> StageJob[DevelopResult]:
    def call(_inputs: Path, work: Path, report: Report) -> DevelopResult:
        from onnxyard.stages.develop.stage import run  # noqa: PLC0415 - see above

        return run(DevelopRequest(project), work, report)

    return StageJob(
        name=Stage.DEVELOP,
        key=DevelopRequest(project).key(),
        kind=DevelopResult,
        inputs={},
        call=call,
        sections=("project", "develop"),
        steps=known_steps(project.config),
    )


def _export(project: Project, developed: DevelopResult) -> StageJob[ExportResult]:
    def request(inputs: Path) -> ExportRequest:
        return ExportRequest(
            project, developed, inputs / "fitted", inputs / "golden_set", _processing(developed, inputs)
        )

    def call(inputs: Path, work: Path, report: Report) -> ExportResult:
        from onnxyard.stages.export.stage import run  # noqa: PLC0415 - see above

        return run(request(inputs), work, report)

    return StageJob(
        name=Stage.EXPORT,
        key=request(ANYWHERE).key(),
        kind=ExportResult,
        inputs=_source(developed),
        call=call,
        sections=("export",),
    )


def _optimize(workshop: Workshop, developed: DevelopResult, exported: ExportResult) -> StageJob[OptimizeResult]:
    project, machine = workshop.project, fingerprint()

    def request(inputs: Path) -> OptimizeRequest:
        processing = _processing(developed, inputs)
        return OptimizeRequest(
            project,
            developed,
            exported,
            inputs / "model",
            processing,
            machine,
            shelf=workshop.shelf,
            workers=workshop.workers,
            dask=workshop.dask,
        )

    def call(inputs: Path, work: Path, report: Report) -> OptimizeResult:
        from onnxyard.stages.optimize.stage import run  # noqa: PLC0415 - see above

        return run(request(inputs), work, report)

    return StageJob(
        name=Stage.OPTIMIZE,
        key=request(ANYWHERE).key(),
        kind=OptimizeResult,
        inputs={**_source(developed), "model": exported.model.digest},
        call=call,
        sections=("optimize", "targets"),
    )


def _validate(
    project: Project, developed: DevelopResult, exported: ExportResult, optimized: OptimizeResult
) -> StageJob[ValidateResult]:
    machine = fingerprint()

    def request(inputs: Path) -> ValidateRequest:
        return ValidateRequest(
            project,
            developed,
            exported,
            optimized,
            models={model.target: inputs / f"model-{model.target}" for model in optimized.models},
            fitted=inputs / "fitted",
            golden_set=inputs / "golden_set",
            processing=_processing(developed, inputs),
            machine=machine,
        )

    def call(inputs: Path, work: Path, report: Report) -> ValidateResult:
        from onnxyard.stages.validate.stage import run  # noqa: PLC0415 - see above

        return run(request(inputs), work, report)

    return StageJob(
        name=Stage.VALIDATE,
        key=request(ANYWHERE).key(),
        kind=ValidateResult,
        inputs=_source(developed) | {f"model-{model.target}": model.model.digest for model in optimized.models},
        call=call,
        sections=("gates",),
    )


def _source(developed: DevelopResult) -> dict[str, str]:
    """What develop made, by the folder it is fetched to."""
    inputs = {"fitted": developed.fitted.digest, "golden_set": developed.golden_set.digest}
    return inputs if developed.processing is None else {**inputs, "processing": developed.processing.digest}


def _processing(developed: DevelopResult, inputs: Path) -> Path | None:
    return None if developed.processing is None else inputs / "processing"
