"""From a project to a folder with its fitted estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sklearn
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from onnxyard.errors import UserCodeError
from onnxyard.project.functions import Kinds
from onnxyard.sources.sklearn.storing import save

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.project.data import Splits
    from onnxyard.project.functions import Functions
    from onnxyard.project.project import Project
    from onnxyard.project.protocols import Report

FILE = "estimator.skops"
RUNTIME = f"scikit-learn {sklearn.__version__}"
_GIVES = Kinds((BaseEstimator,), "a fitted scikit-learn estimator")


def fit(project: Project, functions: Functions, splits: Splits, folder: Path, report: Report) -> str:
    """Write the fitted estimator into `folder`. As `Source.fit`."""
    if project.file.develop.checkpoint is not None:
        raise UserCodeError(
            "A checkpoint is for torch and keras.",
            where="[develop] checkpoint",
            remedy="Load the estimator in `train` and return it.",
        )
    # Sums over parts depend on how many there are.
    with threadpool_limits(project.file.develop.threads):
        estimator = functions.train(splits, report, gives=_GIVES)
    try:
        check_is_fitted(estimator)
    except (NotFittedError, TypeError) as error:
        raise UserCodeError(
            f"train returned a {type(estimator).__name__} that was not fitted.", remedy="Call its fit before."
        ) from error
    # A search answers by the best estimator it found; the rest of it is not part of the model.
    save(getattr(estimator, "best_estimator_", estimator), folder / FILE)
    return RUNTIME
