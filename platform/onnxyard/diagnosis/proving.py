"""Proving an export: attempt after attempt, until one passes every check."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxyard.diagnosis.checks import CheckedModel, check_model
from onnxyard.errors import InvalidRequestError, UnsupportedModelError
from onnxyard.sources.source import MODEL_FILE, Asked, Attempt, Exported

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy as np


@dataclass(frozen=True, slots=True)
class Proven:
    """An export that holds.

    Attributes:
        exported: What the attempt gave.
        checked: What the checks measured.
        failed: The attempts before it: name, and why each was not accepted.
    """

    exported: Exported
    checked: CheckedModel
    failed: tuple[tuple[str, str], ...]


def prove(attempts: Iterable[Attempt], folder: Path, asked: Asked, expected: Mapping[str, np.ndarray]) -> Proven:
    """Write `model.onnx` into `folder` by the first attempt whose graph passes every check.

    Args:
        attempts: In the order they are to be tried.
        folder: Holds the model afterwards; what it held before is gone.
        asked: What was asked for.
        expected: The source's outputs for `asked.inputs`.

    Raises:
        UnsupportedModelError, InvalidRequestError: the first attempt's reason, when none holds.
    """
    failed: list[tuple[str, str]] = []
    first: UnsupportedModelError | InvalidRequestError | None = None
    for attempt in attempts:
        empty(folder)
        try:
            exported = attempt.make(folder / MODEL_FILE)
            checked = check_model(
                folder / MODEL_FILE, inputs=asked.inputs, outputs=expected, opset=asked.opset, names=asked.outputs
            )
        except (UnsupportedModelError, InvalidRequestError) as error:
            first = first or error
            failed.append((attempt.name, error.detail))
        else:
            return Proven(exported, checked, tuple(failed))
    assert first is not None  # noqa: S101 - a source gives at least one attempt, or raises
    shutil.rmtree(folder)
    raise first


def empty(folder: Path) -> Path:
    """An empty folder: what an interrupted run left behind is not part of this result."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder
