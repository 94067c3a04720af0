"""A booster as develop left it, answering as the API it was fitted with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import lightgbm
import numpy as np

from onnxyard.errors import ArtifactCorruptError
from onnxyard.sources.table_model import TableModel, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from onnxyard.project.project import Project
    from onnxyard.sources.table import Table

FILE = "booster.txt"
DOCUMENT = "booster.json"
RUNTIME = f"lightgbm {lightgbm.__version__}"


@dataclass(frozen=True)
class Fitted:
    """A stored booster.

    Attributes:
        booster: The trees.
        classes: What a classifier tells apart, in the order of its probabilities (int64, or object holding str); None
            for anything but an LGBMClassifier.
        named: Whether it was fitted on named columns.
    """

    booster: lightgbm.Booster
    classes: np.ndarray | None
    named: bool

    def answer(self, table: Table, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """What its own API gives (LGBMClassifier.predict and predict_proba for a classifier)."""
        wide = np.dtype(np.float64 if is_wide(table) else np.float32)
        given = np.asarray(self.booster.predict(table.matrix(inputs, wide), num_threads=1))
        if self.classes is None:
            return [given]
        both = np.stack([1.0 - given, given], axis=1) if given.ndim == 1 else given
        return [self.classes[both.argmax(axis=1)], both]


def classes_of(model: lightgbm.LGBMModel | lightgbm.Booster) -> np.ndarray | None:
    """What a fitted classifier tells apart: int64, or object holding str; None for anything else."""
    return plain(model.classes_) if isinstance(model, lightgbm.LGBMClassifier) else None


def is_wide(table: Table) -> bool:
    """Whether float32 cannot hold the columns: LightGBM compares in float64."""
    return np.result_type(table.dtype, np.float32) != np.float32


def read(folder: Path) -> Fitted:
    """The stored booster. Raises ArtifactCorruptError."""
    try:
        document = json.loads((folder / DOCUMENT).read_bytes())
        classes, named = document["classes"], bool(document["named"])
        booster = lightgbm.Booster(model_file=folder / FILE)
    except (OSError, ValueError, KeyError, TypeError, lightgbm.basic.LightGBMError) as error:
        raise ArtifactCorruptError(f"The booster cannot be read: {error}", where=str(folder)) from error
    return Fitted(booster, None if classes is None else _classes(classes), named)


def load(project: Project, folder: Path) -> TableModel:
    """As `Source.load`."""
    fitted = read(folder)
    features = _columns(fitted.booster, project.file.project.columns) if fitted.named else None
    return TableModel(project, fitted.answer, features=features, runtime=RUNTIME)


def _columns(booster: lightgbm.Booster, columns: Mapping[str, Sequence[str]]) -> list[str]:
    """The columns' names: LightGBM writes an underscore for each blank in a name."""
    blanks = {name.replace(" ", "_"): name for names in columns.values() for name in names}
    return [blanks.get(name, name) for name in booster.feature_name()]


def _classes(values: list[int] | list[str]) -> np.ndarray:
    return np.array(values, dtype=object if isinstance(values[0], str) else np.int64)
