"""From a project to a folder with its fitted booster, in LightGBM's own text format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lightgbm

from onnxyard.errors import UserCodeError
from onnxyard.lifecycle.digest import canonical_json
from onnxyard.project.functions import Kinds
from onnxyard.sources.lightgbm.reference import DOCUMENT, FILE, RUNTIME, classes_of

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.project.data import Splits
    from onnxyard.project.functions import Functions
    from onnxyard.project.project import Project
    from onnxyard.project.protocols import Report

_GIVES = Kinds((lightgbm.LGBMModel, lightgbm.Booster), "a fitted LGBMClassifier, LGBMRegressor, LGBMRanker or Booster")


def fit(project: Project, functions: Functions, splits: Splits, folder: Path, report: Report) -> str:
    """Write the fitted model into `folder`: the booster, and a classifier's classes. As `Source.fit`."""
    if project.file.develop.checkpoint is not None:
        raise UserCodeError(
            "A checkpoint is for torch and keras.",
            where="[develop] checkpoint",
            remedy="Load the booster in `train` and return it.",
        )
    model = functions.train(splits, report, gives=_GIVES)
    booster = _booster(model)
    if booster.pandas_categorical:
        raise UserCodeError(
            "The model was fitted on pandas categories, which it numbers by itself.",
            remedy="Give category codes as whole numbers, and name their columns in fit's categorical_feature.",
        )
    classes = None if (told := classes_of(model)) is None else told.tolist()
    booster.save_model(folder / FILE)
    (folder / DOCUMENT).write_bytes(canonical_json({"classes": classes, "named": _is_named(booster)}))
    return RUNTIME


def _booster(model: lightgbm.LGBMModel | lightgbm.Booster) -> lightgbm.Booster:
    if isinstance(model, lightgbm.Booster):
        return model
    if not model.__sklearn_is_fitted__():
        raise UserCodeError(
            f"train returned a {type(model).__name__} that was not fitted.", remedy="Call its fit before."
        )
    return model.booster_


def _is_named(booster: lightgbm.Booster) -> bool:
    """Whether it was fitted on named columns: otherwise LightGBM calls them Column_0, Column_1, ..."""
    names = booster.feature_name()
    return names != [f"Column_{at}" for at in range(len(names))]
