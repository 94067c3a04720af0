"""Export: the fitted model as an ONNX graph that was checked against the golden set."""

from __future__ import annotations

import os
import shutil
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.digest import canonical_json
from onnxyard.lifecycle.handover import ExportResult
from onnxyard.stages.export.checks import check_model
from onnxyard.stages.export.sidecar import scrub, sidecar, trace_origins
from onnxyard.stages.export.source import SourceTree, plain_class
from onnxyard.tensors.files import read_tensors

if TYPE_CHECKING:
    import numpy as np

    from onnxyard.project.protocols import Report
    from onnxyard.stages.export.request import ExportRequest

MODEL_FILE = "model.onnx"
SIDECAR_FILE = "sidecar.json"
EXTERNAL_FROM_BYTES = 1 << 30
"""Weights from this size on go into a file of their own: one protobuf message ends at 2 GiB."""


def run(request: ExportRequest, workspace: Path, report: Report | None = None) -> ExportResult:  # noqa: ARG001 - a stage's shape
    """Export (or take the finished file), check, and write model and sidecar.

    Raises:
        UnsupportedModelError: the model cannot be exported, or the result is not what it should be.
        InvalidRequestError: names or number of inputs or outputs do not fit the project file.
        ArtifactCorruptError: the golden set or the fitted model cannot be read.
    """
    inputs = read_tensors(request.golden_set / "inputs")
    outputs = read_tensors(request.golden_set / "outputs")
    project = request.project.file
    model_file = _fresh(workspace / "model") / MODEL_FILE
    opset: int | None = project.export.opset
    if project.project.onnx is not None:
        exporter, document = _take(request.fitted / MODEL_FILE, model_file)
        # The file has the opset it has, unless the project says in so many words which one it must be.
        opset = opset if "opset" in project.export.model_fields_set else None
    else:
        exporter, document = _export(request, inputs, model_file)
    checked = check_model(model_file, inputs=inputs, outputs=outputs, opset=opset, names=project.project.outputs)
    _write(_fresh(workspace / "sidecar") / SIDECAR_FILE, canonical_json(document))
    return ExportResult(
        model=Artifact.of_folder(model_file.parent),
        sidecar=Artifact.of_folder(workspace / "sidecar"),
        signature=checked.graph.signature,
        opset=checked.graph.opset,
        ir_version=checked.graph.ir_version,
        exporter=exporter,
        nodes=checked.graph.nodes,
        max_error=checked.max_error,
    )


def _export(request: ExportRequest, inputs: dict[str, np.ndarray], model_file: Path) -> tuple[str, dict[str, object]]:
    from onnxyard.runtimes.torch import load_module  # noqa: PLC0415 - the `torch` extra
    from onnxyard.stages.export.torch_export import EXPORTER, check_opset, export_module  # noqa: PLC0415 - as above

    project = request.project
    check_opset(project.file.export.opset)  # before the user's code runs
    module = load_module(project, request.fitted)
    # A process that saw the same code in another folder keeps that copy loaded: its file counts as the project's too.
    loaded = Path(str(project.functions().module.__file__)).resolve().parent
    source = SourceTree((project.root.resolve(), loaded))
    model, noted = export_module(
        module, inputs, outputs=project.file.project.outputs, opset=project.file.export.opset, source=source
    )
    origins = trace_origins(noted, source)
    classes = {
        path: plain_class(f"{type(part).__module__}.{type(part).__qualname__}") for path, part in module.named_modules()
    }
    document = sidecar(model, origins, classes, exporter=EXPORTER)
    scrub(model, origins)
    save_model(model, model_file)
    return EXPORTER, document


def _take(finished: Path, model_file: Path) -> tuple[str, dict[str, object]]:
    """The finished file with all that lies beside it (external data)."""
    shutil.copytree(finished.parent, model_file.parent, dirs_exist_ok=True)
    exporter = f"finished file, onnx {metadata.version('onnx')}"
    model = onnx.load(model_file, load_external_data=False)
    return exporter, sidecar(model, {}, {}, exporter=exporter)


def save_model(model: onnx.ModelProto, model_file: Path, *, external_from: int = EXTERNAL_FROM_BYTES) -> None:
    """Write a model; weights of `external_from` bytes or more in all go to `model.onnx.data` beside it."""
    large = sum(len(tensor.raw_data) for tensor in model.graph.initializer) >= external_from
    draft = model_file.with_name(f".{model_file.name}.part")
    onnx.save_model(
        model,
        draft,
        save_as_external_data=large,
        location=f"{model_file.name}.data",
        size_threshold=min(1024, external_from),
    )
    draft.replace(model_file)


def _fresh(folder: Path) -> Path:
    """An empty folder: what an interrupted run left behind is not part of this result."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.part")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
