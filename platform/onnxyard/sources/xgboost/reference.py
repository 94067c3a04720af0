"""A booster as develop left it, answering by the API it was fitted with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost

from onnxyard.errors import ArtifactCorruptError
from onnxyard.sources.table_model import TableModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from onnxyard.project.project import Project
    from onnxyard.sources.table import Table

FILE = "booster.ubj"
DOCUMENT = "booster.json"
APIS: dict[str, type[xgboost.XGBModel]] = {
    "XGBClassifier": xgboost.XGBClassifier,
    "XGBRanker": xgboost.XGBRanker,
    "XGBRegressor": xgboost.XGBRegressor,
}
"""By name, each with its subclasses (random forests)."""
RUNTIME = f"xgboost {xgboost.__version__}"


@dataclass(frozen=True)
class Fitted:
    """A stored booster.

    Attributes:
        api: A name of `APIS`, or `Booster`.
        model: Of that class.
    """

    api: str
    model: Any

    @property
    def booster(self) -> xgboost.Booster:
        """The trees, without the API."""
        booster: xgboost.Booster = self.model if self.api == "Booster" else self.model.get_booster()
        return booster

    @property
    def features(self) -> Sequence[str] | None:
        """The columns it was fitted on; None where it was fitted on an array."""
        return self.booster.feature_names

    def answer(self, table: Table, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """What its own API gives."""
        matrix = table.matrix(inputs, np.dtype(np.float32))
        if self.api == "Booster":
            named = {"feature_names": self.features, "feature_types": self.model.feature_types}
            categorical = "c" in (self.model.feature_types or ())
            return [self.model.predict(xgboost.DMatrix(matrix, nthread=1, enable_categorical=categorical, **named))]
        if self.api == "XGBClassifier":
            return [self.model.predict(matrix), self.model.predict_proba(matrix)]
        return [self.model.predict(matrix)]


def api_of(model: xgboost.XGBModel | xgboost.Booster) -> str:
    """The name that `APIS` has for it; `Booster` for none of them."""
    return next((name for name, kind in APIS.items() if isinstance(model, kind)), "Booster")


def read(folder: Path) -> Fitted:
    """The stored booster. Raises ArtifactCorruptError."""
    try:
        api = str(json.loads((folder / DOCUMENT).read_bytes())["api"])
        model = xgboost.Booster() if api == "Booster" else APIS[api](n_jobs=1)
        model.load_model(folder / FILE)
    except (OSError, ValueError, KeyError, TypeError, xgboost.core.XGBoostError) as error:
        raise ArtifactCorruptError(f"The booster cannot be read: {error}", where=str(folder)) from error
    if api == "Booster":
        model.set_param({"nthread": 1})
    return Fitted(api, model)


def load(project: Project, folder: Path) -> TableModel:
    """As `Source.load`."""
    fitted = read(folder)
    return TableModel(project, fitted.answer, features=fitted.features, runtime=RUNTIME)
