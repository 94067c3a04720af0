"""Estimators on disk, by skops: a zip of JSON and arrays. Loading makes objects of the types named here, no others.

The same estimator gives the same bytes: skops numbers objects by their address in memory and stamps the time; both are
written anew.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

from skops import io as skops
from skops.io.exceptions import UnsupportedTypeException, UntrustedTypesFoundException

from onnxyard.errors import ArtifactCorruptError, UserCodeError

if TYPE_CHECKING:
    from pathlib import Path

    from sklearn.base import BaseEstimator

TRUSTED = frozenset(
    {
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
        "lightgbm.sklearn.LGBMRanker",
        "numpy.dtype",
        "sklearn.utils._bunch.Bunch",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRegressor",
    }
)
TRUSTED_MODULES = (
    "sklearn._loss.loss.",
    "sklearn.calibration.",
    "sklearn.ensemble._hist_gradient_boosting.",
    "sklearn.feature_selection._univariate_selection.",
    "sklearn.gaussian_process.",
    "sklearn.metrics._dist_metrics.",
    "sklearn.neighbors.",
    "sklearn.neural_network._stochastic_optimizers.",
    "sklearn.tree._tree.",
)
"""What skops does not trust by itself, because its state is binary or it is not public: fitted parts of estimators,
which hold numbers and do arithmetic. Whatever else a file holds is refused by name.
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_SCHEMA = "schema.json"


def save(estimator: BaseEstimator, path: Path) -> None:
    """Write a fitted estimator.

    Raises:
        UserCodeError: it holds something that would not be loaded again: a class or a function of the project's own.
    """
    try:
        content = skops.dumps(estimator)
    except UnsupportedTypeException as error:
        raise UserCodeError(f"The estimator cannot be stored: {error}", remedy=_REMEDY) from error
    if strange := _strange(skops.get_untrusted_types(data=content)):
        raise UserCodeError(
            f"The estimator holds {', '.join(strange)}, which would not be loaded again.", remedy=_REMEDY
        )
    path.write_bytes(_settled(content))


def load(path: Path) -> Any:  # noqa: ANN401 - any estimator
    """Read what `save` wrote. Raises ArtifactCorruptError for anything else."""
    try:
        found = skops.get_untrusted_types(file=path)
        return skops.load(path, trusted=[name for name in found if name not in _strange(found)])
    except (OSError, zipfile.BadZipFile, ValueError, TypeError, LookupError, AttributeError, ImportError) as error:
        raise ArtifactCorruptError(f"The estimator cannot be read: {error}", where=str(path)) from error
    except UntrustedTypesFoundException as error:
        raise ArtifactCorruptError(f"The file holds types that are never loaded: {error}", where=str(path)) from error


def _strange(types: list[str]) -> list[str]:
    """Those that are not trusted here either."""
    return [name for name in types if name not in TRUSTED and not name.startswith(TRUSTED_MODULES)]


_REMEDY = "Use scikit-learn's own estimators, and move what is the project's own into `preprocess`."


def _settled(content: bytes) -> bytes:
    """The same file with objects numbered in the order they stand in the schema, and without the time."""
    numbers: dict[str, str] = {}

    def number(found: str) -> str:
        return numbers.setdefault(found, str(len(numbers)))

    def settle(value: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, list):
            return [settle(item) for item in value]
        if not isinstance(value, dict):
            return value
        settled: dict[str, Any] = {}
        for key, item in value.items():
            if key == "__id__":
                settled[key] = int(number(str(item)))
            elif key == "file" and isinstance(item, str):
                stem, _, suffix = item.rpartition(".")
                settled[key] = f"{number(stem)}.{suffix}"
            else:
                settled[key] = settle(item)
        return settled

    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as given, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as written:
        schema = settle(json.loads(given.read(_SCHEMA)))
        files = {_renamed(name, numbers): name for name in given.namelist() if name != _SCHEMA}
        for name in sorted(files):
            written.writestr(zipfile.ZipInfo(name, _EPOCH), given.read(files[name]))
        written.writestr(zipfile.ZipInfo(_SCHEMA, _EPOCH), json.dumps(schema))
    return made.getvalue()


def _renamed(file: str, numbers: dict[str, str]) -> str:
    stem, _, suffix = file.rpartition(".")
    return f"{numbers[stem]}.{suffix}"
