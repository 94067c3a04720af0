"""A finished ONNX file: nothing to fit, nothing to export. It is its own reference."""

from __future__ import annotations

import shutil
from importlib import metadata
from typing import TYPE_CHECKING

import onnx

from onnxyard.runtimes.graph import read_graph
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.sources.admission.admitting import Trial, admit
from onnxyard.sources.admission.laid_out import rows_by_two
from onnxyard.sources.detours import detours
from onnxyard.sources.sidecar import sidecar
from onnxyard.sources.source import MODEL_FILE, Asked, Attempt, Exported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from onnxyard.ports.runtime import LoadedModel
    from onnxyard.project.data import Splits
    from onnxyard.project.functions import Functions
    from onnxyard.project.project import Project
    from onnxyard.project.protocols import Report


_TRIED_ROWS = 16
"""Rows of the project's own that a disposable child runs the file on first."""


class FinishedFile:
    """The `Source` of a project that names an ONNX file."""

    @property
    def packages(self) -> tuple[str, ...]:
        return ("onnx",)

    def fit(self, project: Project, functions: Functions, splits: Splits, folder: Path, report: Report) -> str:  # noqa: ARG002 - a source's shape
        finished = project.finished
        assert finished is not None  # noqa: S101 - a project without one has another source
        # Nothing in this process opens a foreign file before a disposable child has: it may be made to do harm, and
        # some harm shows on the project's own rows alone.
        rows = rows_by_two(splits.train.take(_TRIED_ROWS).inputs)
        trial = Trial(rows, "the project's first rows")
        admitted = admit(finished.file, sha256=project.file.project.onnx_sha256, trial=trial)
        shutil.copyfile(finished.file, folder / MODEL_FILE)
        for name in admitted.data_files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(finished.file.parent / name, folder / name)
        return f"onnx {metadata.version('onnx')} ({finished.origin})"

    def load(self, project: Project, folder: Path) -> LoadedModel:  # noqa: ARG002 - a source's shape
        return OnnxRuntime.load(folder / MODEL_FILE, provider="CPUExecutionProvider", threads=1)

    def attempts(self, project: Project, folder: Path, asked: Asked) -> Iterator[Attempt]:  # noqa: ARG002 - a source's shape
        beside = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
        yield from ways(folder / MODEL_FILE, [name for name in beside if name != MODEL_FILE], asked.opset)


def ways(model_file: Path, data_files: Sequence[str], opset: int | None) -> Iterator[Attempt]:
    """The file as it is; at another opset by ONNX's version converter, or by the opset's number alone.

    Args:
        model_file: An admitted file.
        data_files: Names of the files beside it that hold its weights.
        opset: The default domain's; None takes what the file has.

    Raises:
        ArtifactCorruptError: the file is not a model.
    """
    before = read_graph(model_file).opset

    def take(copy: Path) -> Exported:
        shutil.copyfile(model_file, copy)
        for name in data_files:
            (copy.parent / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(model_file.parent / name, copy.parent / name)
        exporter = f"finished file, onnx {metadata.version('onnx')}"
        return Exported(exporter, sidecar(onnx.load(copy, load_external_data=False), {}, {}, exporter=exporter))

    direct = Attempt("finished file", take)
    if opset is None or opset == before:
        yield direct
    else:
        yield from detours(direct, before, opset)
