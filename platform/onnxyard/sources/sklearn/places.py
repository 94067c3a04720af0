"""Where in a pipeline an estimator stands: `pipeline.steps[1]`, `pipeline.steps[0].transformers_[1]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

_NESTED = ("best_estimator_", "estimator_", "final_estimator_", "regressor_", "transformer_")


def places(estimator: BaseEstimator, path: str = "") -> Iterator[tuple[str, BaseEstimator]]:
    """The estimator and everything fitted inside it, outer ones first, each with its path."""
    path = path or ("pipeline" if isinstance(estimator, Pipeline) else "model")
    yield path, estimator
    if isinstance(estimator, Pipeline):
        inner = [(f"steps[{at}]", step) for at, (_, step) in enumerate(estimator.steps)]
    elif isinstance(estimator, ColumnTransformer):
        inner = [(f"transformers_[{at}]", entry[1]) for at, entry in enumerate(estimator.transformers_)]
    elif isinstance(estimator, FeatureUnion):
        inner = [(f"transformer_list[{at}]", entry[1]) for at, entry in enumerate(estimator.transformer_list)]
    else:
        inner = [(name, getattr(estimator, name, None)) for name in _NESTED]
    for name, step in inner:
        if isinstance(step, BaseEstimator):
            yield from places(step, f"{path}.{name}")
