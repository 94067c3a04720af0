"""A finished ONNX file: nothing to fit, nothing to export. It is its own reference."""

from __future__ import annotations

import shutil
from importlib import metadata
from typing import TYPE_CHECKING

import onnx

from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.sources.admission.admitting import admit
from onnxyard.sources.sidecar import sidecar
from onnxyard.sources.source import MODEL_FILE, Asked, Attempt, Exported

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onnxyard.ports.runtime import LoadedModel
    from onnxyard.project.data import Splits
    from onnxyard.project.functions import Functions
    from onnxyard.project.project import Project
    from onnxyard.project.protocols import Report


class FinishedFile:
    """The `Source` of a project that names an ONNX file."""

    @property
    def packages(self) -> tuple[str, ...]:
        return ("onnx",)

    def fit(self, project: Project, functions: Functions, splits: Splits, folder: Path, report: Report) -> str:  # noqa: ARG002 - a source's shape
        finished = project.finished
        assert finished is not None  # noqa: S101 - a project without one has another source
        # Nothing in this process opens a foreign file before a disposable child has: it may be made to do harm.
        admitted = admit(finished.file, sha256=project.file.project.onnx_sha256)
        shutil.copyfile(finished.file, folder / MODEL_FILE)
        for name in admitted.data_files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(finished.file.parent / name, folder / name)
        return f"onnx {metadata.version('onnx')} ({finished.origin})"

    def load(self, project: Project, folder: Path) -> LoadedModel:  # noqa: ARG002 - a source's shape
        return OnnxRuntime.load(folder / MODEL_FILE, provider="CPUExecutionProvider", threads=1)

    def attempts(self, project: Project, folder: Path, asked: Asked) -> Iterator[Attempt]:  # noqa: ARG002 - a source's shape
        def take(model_file: Path) -> Exported:
            """The file with all that lies beside it (external data)."""
            shutil.copytree(folder, model_file.parent, dirs_exist_ok=True)
            exporter = f"finished file, onnx {metadata.version('onnx')}"
            model = onnx.load(model_file, load_external_data=False)
            return Exported(exporter, sidecar(model, {}, {}, exporter=exporter))

        yield Attempt("finished file", take)
