"""A fitted estimator carried through a source in memory: stored, loaded, converted, run."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from onnxyard.project.functions import Functions
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.sources.source import MODEL_FILE, Asked

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.sources.source import Source


@dataclass(frozen=True)
class Carried:
    """What came out: the framework's answers, the graph's, the graph, and the way that gave it."""

    wanted: dict[str, np.ndarray]
    given: dict[str, np.ndarray]
    model: onnx.ModelProto
    way: str


def project_of(outputs: tuple[str, ...], columns: dict[str, tuple[str, ...]] | None = None) -> Any:
    """As much of a project as a source looks at."""
    section = SimpleNamespace(outputs=outputs, columns=columns or {})
    return SimpleNamespace(
        file=SimpleNamespace(project=section, develop=SimpleNamespace(checkpoint=None, threads=1)), root=None
    )


def functions_of(model: object, root: Path) -> Functions:
    """A project's functions whose `train` gives this."""
    module = SimpleNamespace(train=lambda *_: model, __file__=str(root / "own.py"))
    return Functions(root, module, {}, 0)


def store(source: Source, model: object, folder: Path, outputs: tuple[str, ...] = ("y",)) -> str:
    """Write a fitted model as develop does."""
    folder.mkdir(parents=True, exist_ok=True)
    return source.fit(project_of(outputs), functions_of(model, folder), None, folder, None)


def carry(
    source: Source,
    model: object,
    inputs: dict[str, np.ndarray],
    folder: Path,
    *,
    outputs: tuple[str, ...] = ("y",),
    opset: int = 15,
    columns: dict[str, tuple[str, ...]] | None = None,
    way: int = 0,
) -> Carried:
    """Store, load, convert by one of the ways, check that it is valid, and run both."""
    store(source, model, folder / "fitted", outputs)
    project = project_of(outputs, columns)
    asked = Asked(inputs, outputs, opset, {}, {})
    attempt = list(source.attempts(project, folder / "fitted", asked))[way]
    file = folder / MODEL_FILE
    attempt.make(file)
    reference = source.load(project, folder / "fitted")
    wanted = reference.run(inputs)
    onnx.checker.check_model(str(file), full_check=True)
    given = OnnxRuntime.load(file, provider="CPUExecutionProvider", threads=1).run(inputs)
    return Carried(wanted, given, onnx.load(file), attempt.name)
