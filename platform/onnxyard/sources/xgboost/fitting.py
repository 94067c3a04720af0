"""From a project to a folder with its fitted booster, in XGBoost's own format (UBJSON: no code in it)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xgboost

from onnxyard.errors import UserCodeError
from onnxyard.lifecycle.digest import canonical_json
from onnxyard.project.functions import Kinds
from onnxyard.sources.xgboost.reference import APIS, DOCUMENT, FILE, RUNTIME, api_of

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.project.data import Splits
    from onnxyard.project.functions import Functions
    from onnxyard.project.project import Project
    from onnxyard.project.protocols import Report

_GIVES = Kinds((*APIS.values(), xgboost.Booster), "a fitted XGBClassifier, XGBRegressor, XGBRanker or Booster")


def fit(project: Project, functions: Functions, splits: Splits, folder: Path, report: Report) -> str:
    """Write the fitted model into `folder`: the booster, and which API it answers by. As `Source.fit`."""
    if project.file.develop.checkpoint is not None:
        raise UserCodeError(
            "A checkpoint is for torch and keras.",
            where="[develop] checkpoint",
            remedy="Load the booster in `train` and return it.",
        )
    model = functions.train(splits, report, gives=_GIVES)
    _check(model)
    model.save_model(folder / FILE)
    (folder / DOCUMENT).write_bytes(canonical_json({"api": api_of(model)}))
    return RUNTIME


def _check(model: xgboost.XGBModel | xgboost.Booster) -> None:
    if isinstance(model, xgboost.Booster):
        return
    if not model.__sklearn_is_fitted__():
        raise UserCodeError(
            f"train returned a {type(model).__name__} that was not fitted.", remedy="Call its fit before."
        )
    if not np.isnan(model.missing):
        raise UserCodeError(
            f"The model takes {model.missing} for a missing value, which its stored form does not remember.",
            remedy="Leave `missing` out and give NaN where a value is missing.",
        )
