"""A source whose framework lives in a toolchain: everything that touches it happens in a child process there.

The project's data and metrics run here, its `train` there; splits, weights and tensors go between as files.
"""

from __future__ import annotations

import itertools
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from onnxyard.errors import InvalidRequestError, UnsupportedModelError, UserCodeError
from onnxyard.lifecycle.signature import Signature
from onnxyard.settings import Settings
from onnxyard.sources.detours import ways_to
from onnxyard.sources.handed_splits import write_splits
from onnxyard.sources.observed import observed
from onnxyard.sources.sidecar import Origin, sidecar
from onnxyard.sources.source import Asked, Attempt, Exported
from onnxyard.tensors.files import read_tensors, write_tensors
from onnxyard.toolchains.catalogue import known
from onnxyard.toolchains.environment import Environment
from onnxyard.toolchains.worker import Ask, Worker, start

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np

    from onnxyard.ports.runtime import LoadedModel
    from onnxyard.project.data import Splits
    from onnxyard.project.functions import Functions
    from onnxyard.project.project import Project
    from onnxyard.project.protocols import Report

_RUN_S = 600.0
_EXPORT_S = 1800.0


@dataclass(frozen=True, slots=True)
class Isolated:
    """The `Source` of a framework in a toolchain.

    Attributes:
        toolchain: The toolchain's name.
        program: The Python file that does the work there (`onnxyard.sources.inside`).
        converter: Who makes the ONNX graph, as `tf2onnx`.
        opsets: The opsets that it gives; others are tried from the nearest of them.
        checkpoints: Whether a checkpoint can stand for `train`.
    """

    toolchain: str
    program: Path
    converter: str
    opsets: range
    checkpoints: bool

    @property
    def packages(self) -> tuple[str, ...]:
        """None of this environment: the toolchain's own versions count (`onnxyard.sources.by_name.versions_of`)."""
        return ()

    def fit(self, project: Project, functions: Functions, splits: Splits, folder: Path, report: Report) -> str:  # noqa: ARG002 - a source's shape
        checkpoint = project.file.develop.checkpoint
        if checkpoint is not None and not self.checkpoints:
            raise InvalidRequestError(
                f"A {project.file.project.framework} project cannot start from a checkpoint.",
                where="[develop] checkpoint",
                remedy="Read it in `train` and return what it holds.",
            )
        with self._open(project) as worker:
            given: dict[str, Any] = {"folder": str(folder.resolve()), "checkpoint": None, "splits": None}
            if checkpoint is not None:
                given["checkpoint"] = str(project.root / checkpoint)
            else:
                write_splits(worker.scratch / "splits", splits)
                given["splits"] = str(worker.scratch / "splits")
            # Only the user can say how long training may take.
            asked = Ask("fit", given, limit_s=None, blame=UserCodeError)
            answer = worker.ask(asked, lambda news: report(news["step"], news["metrics"]))
        return str(answer["framework"])

    def load(self, project: Project, folder: Path) -> LoadedModel:
        worker = self._open(project)
        try:
            return IsolatedModel(worker, _load(worker, folder))
        except BaseException:
            worker.close()
            raise

    def attempts(self, project: Project, folder: Path, asked: Asked) -> Iterator[Attempt]:
        def export(opset: int) -> Iterator[Attempt]:
            yield Attempt(self.converter, lambda model_file: self._convert(project, folder, asked, opset, model_file))

        yield from ways_to(asked, self.opsets, self.converter, export)

    def _convert(self, project: Project, folder: Path, asked: Asked, opset: int, model_file: Path) -> Exported:
        """Let the converter write the fitted model's graph at one of its opsets."""
        with self._open(project) as worker:
            _load(worker, folder)
            example = worker.scratch / "example"
            write_tensors(example, asked.inputs)
            given = {
                "example": str(example),
                "axes": {name: list(asked.axes_of(name)) for name in asked.inputs},
                "opset": opset,
                "model_file": str(model_file.resolve()),
            }
            answer = worker.ask(Ask("export", given, limit_s=_EXPORT_S, blame=UnsupportedModelError))
        origins = {tensor: Origin(**origin) for tensor, origin in answer["origins"].items()}
        model = onnx.load(model_file, load_external_data=False)
        exporter = str(answer["exporter"])
        return Exported(exporter, sidecar(model, origins, {}, exporter=exporter), tuple(answer["remedies"]))

    def _open(self, project: Project) -> Worker:
        """A child with the framework imported and the project's training file loaded.

        Raises:
            MissingExtraError: the toolchain is not installed.
            UserCodeError: the training file cannot be loaded there.
        """
        settings = Settings.read(home=project.home, start=project.root)
        worker = start(Environment(known(self.toolchain), settings), self.program)
        file, develop = project.file.project, project.file.develop
        # A checkpoint needs code of the project only where it says so (for layers of its own).
        training = file.training or (file.module if develop.checkpoint is None else None)
        given = {
            "root": str(project.root),
            "training": training,
            "config": project.config,
            "outputs": list(file.outputs),
            "seed": develop.seed,
            "threads": develop.threads,
            "deterministic": develop.deterministic,
        }
        try:
            worker.ask(Ask("open", given, limit_s=_RUN_S, blame=UserCodeError))
        except BaseException:
            worker.close()
            raise
        return worker


class IsolatedModel:
    """A `LoadedModel` in a child that stays: loading a framework takes seconds, running a batch milliseconds.

    The child ends with this object, or with this process.
    """

    def __init__(self, worker: Worker, runtime: str) -> None:
        self._worker = worker
        self._runtime = runtime
        self._signature = Signature((), ())
        self._numbers = itertools.count()

    @property
    def signature(self) -> Signature:
        """As of the latest run; empty before the first one."""
        return self._signature

    @property
    def runtime(self) -> str:
        return self._runtime

    @property
    def provider(self) -> str:
        return "cpu"

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs by name.

        Raises:
            InvalidRequestError: an input that the model does not take.
            UserCodeError: the model failed, or gave something else than the outputs the project names.
        """
        folder = self._worker.scratch / f"run-{next(self._numbers)}"
        given = {"inputs": str(folder / "inputs"), "outputs": str(folder / "outputs")}
        try:
            write_tensors(folder / "inputs", inputs)
            self._worker.ask(Ask("run", given, limit_s=_RUN_S, blame=UserCodeError))
            outputs = read_tensors(folder / "outputs")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._signature = observed(inputs, outputs)
        return outputs


def _load(worker: Worker, folder: Path) -> str:
    given = {"folder": str(folder.resolve())}
    return str(worker.ask(Ask("load", given, limit_s=_RUN_S, blame=UserCodeError))["framework"])
