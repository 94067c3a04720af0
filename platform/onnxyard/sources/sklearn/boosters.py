"""Boosters as steps of a pipeline: their trees are written as those of a booster alone are."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from skl2onnx import update_registered_converter
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType

from onnxyard.sources.sklearn.container import ContainerNodes

if TYPE_CHECKING:
    from collections.abc import Callable


_OPTIONS = {"zipmap": [True, False, "columns"]}


def register() -> None:
    """Tell skl2onnx of the boosters that are loaded; a pipeline holds no others."""
    if "xgboost" in sys.modules:
        import xgboost  # noqa: PLC0415 - loaded already

        _register((xgboost.XGBClassifier, xgboost.XGBRegressor), _xgboost)
    if "lightgbm" in sys.modules:
        import lightgbm  # noqa: PLC0415 - loaded already

        _register((lightgbm.LGBMClassifier, lightgbm.LGBMRegressor), _lightgbm)


def _register(kinds: tuple[type, ...], convert: Callable[[Any, Any, Any], None]) -> None:
    for kind in kinds:
        if kind not in sklearn_operator_name_map:
            options = _OPTIONS if kind.__name__.endswith("Classifier") else None
            update_registered_converter(kind, f"Onnxyard{kind.__name__}", _shapes, convert, options=options)


def _shapes(operator: Any) -> None:  # noqa: ANN401 - skl2onnx ships no types
    """Types of the outputs: of a classifier its labels and probabilities, of a regressor its values."""
    rows, classes = operator.inputs[0].get_first_dimension(), getattr(operator.raw_operator, "classes_", None)
    if classes is None:
        operator.outputs[0].type = FloatTensorType([rows, None])
        return
    label = Int64TensorType if classes.dtype.kind in "biu" else StringTensorType
    operator.outputs[0].type = label([rows])
    operator.outputs[1].type = FloatTensorType([rows, len(classes)])


def _xgboost(scope: Any, operator: Any, container: Any) -> None:  # noqa: ANN401 - skl2onnx ships no types
    from onnxyard.sources.xgboost.exporting import write_answers  # noqa: PLC0415 - only where there is one
    from onnxyard.sources.xgboost.reference import Fitted, api_of  # noqa: PLC0415 - as above

    model = operator.raw_operator
    ContainerNodes(scope, operator, container).finish(lambda nodes: write_answers(nodes, Fitted(api_of(model), model)))


def _lightgbm(scope: Any, operator: Any, container: Any) -> None:  # noqa: ANN401 - skl2onnx ships no types
    from onnxyard.sources.lightgbm.exporting import write_answers  # noqa: PLC0415 - only where there is one
    from onnxyard.sources.lightgbm.reference import Fitted, classes_of  # noqa: PLC0415 - as above

    model = operator.raw_operator
    double = isinstance(operator.inputs[0].type, DoubleTensorType)
    fitted = Fitted(model.booster_, classes_of(model), named=False)
    ContainerNodes(scope, operator, container).finish(lambda nodes: write_answers(nodes, fitted, double=double))
