"""The first batch that a project's own training gives its model."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from onnxyard.errors import UserCodeError
from onnxyard.project.seeding import seeded

if TYPE_CHECKING:
    from onnxyard.project.processing import Processing
    from onnxyard.project.project import Project

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


def first_batch(project: Project, processing: Processing) -> FirstBatch | None:
    """Run train up to the first call of its model; None where it makes none, or fails before.

    Raises:
        UserCodeError: the project's data cannot be read, or preprocess failed.
    """
    functions = project.functions()
    splits = functions.data().without("test")
    if processing.preprocess is not None:
        splits = splits.changed(processing.before)
    kind = type(functions.model())
    fed: dict[str, np.ndarray] = {}
    places: list[str] = []

    def stop(module: torch.nn.Module, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - whatever forward takes
        bound = inspect.signature(module.forward).bind(*args, **kwargs)
        tensors = {name: value for name, value in bound.arguments.items() if isinstance(value, torch.Tensor)}
        fed.update({name: value.detach().cpu().numpy() for name, value in tensors.items()})
        frame = sys._getframe(1)  # noqa: SLF001 - whoever calls the model
        root = str(project.functions().root)
        if frame.f_code.co_filename.startswith(root):
            places.append(f"{frame.f_code.co_filename[len(root) :].lstrip('/')}:{frame.f_lineno}")
        raise _Seen

    own = kind.__dict__.get("__call__")
    kind.__call__ = stop
    try:
        with seeded(project.file.develop.seed):
            functions.train(splits, lambda _step, _metrics: None)
    except _Seen:
        pass
    except UserCodeError:
        return None  # develop has told, if it fails by itself
    finally:
        if own is None:
            del kind.__call__
        else:
            kind.__call__ = own
    if not fed:
        return None
    rows = splits.train.take(np.arange(min(_ROWS, len(splits.train))))
    return FirstBatch(fed, rows.inputs, places[0] if places else "")
