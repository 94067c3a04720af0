"""An estimator as develop left it, answering by its own methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from onnxyard.sources.sklearn.fitting import FILE, RUNTIME
from onnxyard.sources.sklearn.storing import load as read
from onnxyard.sources.table_model import TableModel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from onnxyard.project.project import Project
    from onnxyard.sources.table import Table


def load(project: Project, folder: Path) -> TableModel:
    """As `Source.load`."""
    return model_of(project, read(folder / FILE))


def model_of(project: Project, estimator: Any) -> TableModel:  # noqa: ANN401 - any estimator
    """A fitted estimator as a `LoadedModel`."""
    features = features_of(estimator)

    def answer(table: Table, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        return answers(estimator, table.matrix(inputs) if features is None else table.frame(inputs))

    return TableModel(project, answer, features=features, runtime=RUNTIME)


def features_of(estimator: Any) -> list[str] | None:  # noqa: ANN401 - as above
    """The columns it was fitted on; None where it was fitted on an array."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def answers(estimator: Any, rows: Any) -> list[np.ndarray]:  # noqa: ANN401 - as above; an array or a frame
    """What it says of some rows: `predict`, then what `SECOND` names; `transform` of what does not predict.

    The probabilities of a classifier with several targets come as an array for each.
    """
    if not hasattr(estimator, "predict"):
        given = estimator.transform(rows)
        return [given.toarray() if hasattr(given, "toarray") else np.asarray(given)]
    first = np.asarray(estimator.predict(rows))
    second = second_of(estimator)
    if second is None:
        return [first]
    given = getattr(estimator, second)(rows)
    return [first, *(given if isinstance(given, list) else [given])]


def second_of(estimator: Any) -> str | None:  # noqa: ANN401 - as above
    """The method that gives the second output; None where there is but one."""
    from sklearn.base import is_clusterer, is_regressor  # noqa: PLC0415 - the `trees` extra

    if is_regressor(estimator):
        return None
    candidates = ("transform",) if is_clusterer(estimator) else ("predict_proba", "decision_function")
    return next((name for name in candidates if hasattr(estimator, name)), None)
