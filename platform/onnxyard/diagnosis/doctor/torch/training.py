"""The first batch that a project's own training gives its model."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from onnxyard.errors import UserCodeError
from onnxyard.project.data import Splits
from onnxyard.project.functions import Functions, Kinds
from onnxyard.project.seeding import seeded
from onnxyard.sources.by_name import source_of
from onnxyard.sources.torch.reference import module_kind

if TYPE_CHECKING:
    from onnxyard.project.processing import Processing
    from onnxyard.project.project import Project
    from onnxyard.project.protocols import Report

_ROWS = 2048


@dataclass(frozen=True, slots=True)
class FirstBatch:
    """What was seen.

    Attributes:
        fed: What the model was given, by input name.
        given: Rows of what train was given, by input name.
        source: `file:line` of the call, relative to the project.
    """

    fed: Mapping[str, np.ndarray]
    given: Mapping[str, np.ndarray]
    source: str


class _Seen(BaseException):
    """Ends training at its first step. No Exception, so that no handler of the user's code takes it for a failure."""

    def __init__(self, fed: Mapping[str, np.ndarray], source: str) -> None:
        super().__init__()
        self.fed = fed
        self.source = source


class _Enough(BaseException):
    """Ends a training that calls its model otherwise than by `model(...)`, at the first step that it reports."""


def _enough(step: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG001 - a report's shape
    raise _Enough


@dataclass(frozen=True)
class _Watched(Functions):
    """A project's functions, and what its train was given."""

    handed: list[Splits] = field(default_factory=list)

    def train(self, splits: Splits, report: Report, *, gives: Kinds | None = None) -> Any:  # noqa: ANN401 - as there
        self.handed.append(splits)
        return super().train(splits, report, gives=gives)


def first_batch(project: Project, processing: Processing) -> FirstBatch | None:
    """Run the project's own training up to the first call of its model.

    None where it makes no call before its first report, or fails before.

    Raises:
        UserCodeError: the project's data cannot be read, or preprocess failed.
    """
    functions = project.functions()
    watched = _Watched(functions.root, functions.module, functions.config, functions.seed)
    splits = functions.data().without("test")
    if processing.preprocess is not None:
        splits = splits.changed(processing.before)
    kind = type(functions.model(gives=module_kind()))

    def stop(module: torch.nn.Module, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - whatever forward takes
        bound = inspect.signature(module.forward).bind(*args, **kwargs)
        tensors = {name: value for name, value in bound.arguments.items() if isinstance(value, torch.Tensor)}
        fed = {name: value.detach().cpu().numpy() for name, value in tensors.items()}
        raise _Seen(fed, _caller(functions.root))

    own = vars(kind).get("__call__")
    kind.__call__ = stop
    try:
        with seeded(project.file.develop.seed), TemporaryDirectory(prefix="onnxyard-doctor-") as folder:
            source_of(project).fit(project, watched, splits, Path(folder), _enough)
    except _Enough:
        return None
    except _Seen as seen:
        handed = watched.handed[0].train
        rows = handed.take(np.arange(min(_ROWS, len(handed))))
        return FirstBatch(seen.fed, rows.inputs, seen.source)
    except UserCodeError:
        return None  # develop has told, if training fails by itself
    finally:
        if own is None:
            del kind.__call__
        else:
            kind.__call__ = own
    return None


def _caller(root: Path) -> str:
    """`file:line` of the innermost frame in the project."""
    frame = sys._getframe(2)  # noqa: SLF001 - whoever calls the model
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if file.is_relative_to(root):
            return f"{file.relative_to(root).as_posix()}:{frame.f_lineno}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return ""
