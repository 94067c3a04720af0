"""Why an estimator cannot be converted: which one it is, and where in the pipeline it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import skl2onnx
from skl2onnx._supported_operators import sklearn_operator_name_map
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.sklearn.places import places

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_REMEDY = "Take an estimator that skl2onnx knows, or move the step into `preprocess`, which travels with every version."
_COMPOSED = (Pipeline, ColumnTransformer, FeatureUnion)


def check_known(estimator: Any) -> None:  # noqa: ANN401 - any estimator
    """Refuse what skl2onnx has no converter for: all of it, not the first.

    Raises:
        UnsupportedModelError: naming each step and where it stands.
    """
    unknown = [
        f"{path} {type(step).__name__}"
        for path, step in places(estimator)
        if not isinstance(step, _COMPOSED) and type(step) not in sklearn_operator_name_map
    ]
    if unknown:
        raise UnsupportedModelError(
            f"skl2onnx {skl2onnx.__version__} has no converter for {'; '.join(unknown)}.", remedy=_REMEDY
        )


def refusal(error: Exception, estimator: Any) -> UnsupportedModelError:  # noqa: ANN401 - any estimator
    """What skl2onnx raised, or a converter of ours, with the step it was at."""
    known = {id(step): f"{path} {type(step).__name__}" for path, step in places(estimator)}
    at = next((known[number] for number in _converted_last(error.__traceback__) if number in known), "")
    if isinstance(error, UnsupportedModelError):
        return UnsupportedModelError(
            f"{at or type(estimator).__name__} cannot be converted: {error.detail}", remedy=error.remedy or _REMEDY
        )
    lines = str(error).strip().splitlines() or [type(error).__name__]
    why = lines[0].partition(" You may raise an i")[0]
    return UnsupportedModelError(
        f"skl2onnx {skl2onnx.__version__} cannot convert {at or type(estimator).__name__}: {why}", remedy=_REMEDY
    )


def _converted_last(traceback: TracebackType | None) -> Iterator[int]:
    """The estimators that skl2onnx's functions were at, the innermost first: each keeps its own in a local."""
    found = []
    while traceback is not None:
        for name in ("operator", "model", "op"):
            local = traceback.tb_frame.f_locals.get(name)
            found.append(id(getattr(local, "raw_operator", local)))
        traceback = traceback.tb_next
    yield from reversed(found)
