"""The golden set as validate reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.tensors.files import read_tensors

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """The same few rows at every step of the source model's way, by tensor name.

    Attributes:
        raw: As a client sends them.
        inputs: After preprocess.
        outputs: The source model's.
        answers: After postprocess.
    """

    raw: dict[str, np.ndarray]
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    answers: dict[str, np.ndarray]

    @property
    def rows(self) -> int:
        """Rows."""
        return len(next(iter(self.inputs.values())))


def read_golden_set(folder: Path) -> GoldenSet:
    """Read a golden set's folder. Raises ArtifactCorruptError."""
    return GoldenSet(**{name: read_tensors(folder / name) for name in ("raw", "inputs", "outputs", "answers")})
