"""Export: the fitted model as an ONNX graph that was checked against the golden set."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from onnxyard.diagnosis.doctor import Subject, look
from onnxyard.diagnosis.proving import Proven, empty, prove
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.digest import canonical_json
from onnxyard.lifecycle.handover import ExportResult
from onnxyard.project.translations import translations_of
from onnxyard.sources.by_name import source_of
from onnxyard.sources.sidecar import SIDECAR_FILE
from onnxyard.sources.source import MODEL_FILE, Asked
from onnxyard.stages.export.ceilings import check_fits, fitting_opset, highest_ir_version
from onnxyard.tensors.files import read_tensors, write_bytes

if TYPE_CHECKING:
    from onnxyard.lifecycle.finding import Finding
    from onnxyard.project.protocols import Report
    from onnxyard.stages.export.request import ExportRequest


def run(request: ExportRequest, workspace: Path, report: Report | None = None) -> ExportResult:  # noqa: ARG001 - a stage's shape
    """Export (or take the finished file), check, write model and sidecar, and let the doctor look at both.

    Raises what `export` raises.
    """
    asked, proven = export(request, workspace)
    graph = proven.checked.graph
    return ExportResult(
        model=Artifact.of_folder(workspace / "model"),
        sidecar=Artifact.of_folder(workspace / "sidecar"),
        signature=graph.signature,
        opset=graph.opset,
        ir_version=graph.ir_version,
        exporter=proven.exported.exporter,
        nodes=graph.nodes,
        max_error=proven.checked.max_error,
        remedies=proven.exported.remedies,
        findings=_findings(request, asked, proven, workspace / "model" / MODEL_FILE),
    )


def export(request: ExportRequest, workspace: Path) -> tuple[Asked, Proven]:
    """The export alone: model and sidecar in the workspace, proven, and what was asked for.

    Raises:
        UnsupportedModelError: the model cannot be exported, the result is not what it should be, or a target's ONNX
            Runtime does not load the opset that was asked for.
        InvalidRequestError: names or number of inputs or outputs do not fit the project file.
        ArtifactCorruptError: the golden set or the fitted model cannot be read.
    """
    project = request.project
    expected = read_tensors(request.golden_set / "outputs")
    asked = Asked(
        inputs=read_tensors(request.golden_set / "inputs"),
        outputs=tuple(expected),
        opset=fitting_opset(project),
        axes=project.file.project.axes,
        translations=translations_of(project),
        ir_version=highest_ir_version(project),
    )
    source = source_of(project)
    attempts = source.attempts(project, request.fitted, asked)
    reference = source.load(project, request.fitted).run
    proven = prove(attempts, workspace / "model", asked, expected, reference=reference)
    check_fits(project, proven.checked.graph.opsets, proven.checked.graph.ir_version)
    write_bytes(empty(workspace / "sidecar") / SIDECAR_FILE, canonical_json(proven.exported.sidecar))
    return asked, proven


def _findings(request: ExportRequest, asked: Asked, proven: Proven, model_file: Path) -> tuple[Finding, ...]:
    """What the doctor says of model and graph; what he says of the training is for `onnxyard doctor`, which runs it.

    A graph with steps around the model is no graph of the model alone: there the model is exported once more without.
    """
    subject = Subject.of_project(
        request.project,
        fitted=request.fitted,
        golden_set=request.golden_set,
        processing=request.processing,
        opset=asked.opset,
        ir_version=asked.ir_version,
    )
    if request.project.file.preprocess or request.project.file.postprocess:
        with TemporaryDirectory(prefix="onnxyard-export-") as scratch:
            alone = Path(scratch) / "model"
            bare = prove(
                subject.ways(subject.asked), alone, subject.asked, subject.expected, reference=subject.reference.run
            )
            return look(subject, bare.exported, alone / MODEL_FILE)
    return look(subject, proven.exported, model_file)
