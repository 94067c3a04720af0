"""Converters that replace skl2onnx's own, so that each step computes in the type that scikit-learn computes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common._registration import get_converter
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.tree import BaseDecisionTree

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.sklearn.container import ContainerNodes
from onnxyard.sources.sklearn.votes import write_votes

if TYPE_CHECKING:
    from collections.abc import Iterator


_TREES = (BaseDecisionTree, BaseForest, BaseGradientBoosting)


def converters() -> dict[str, Any]:
    """What `convert_sklearn` takes: functions by the type they are for."""
    trees = {kind: _in_float32 for kind in sklearn_operator_name_map if issubclass(kind, _TREES)}
    scalers = dict.fromkeys((MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler), _scale)
    forests = dict.fromkeys((ExtraTreesClassifier, RandomForestClassifier), _vote)
    return {"custom_conversion_functions": {**trees, **scalers, **forests, SimpleImputer: _impute}}


class _Fed:
    """An operator of skl2onnx that is fed something else; all but its inputs are the operator's own."""

    def __init__(self, operator: Any, inputs: list[Any]) -> None:  # noqa: ANN401 - skl2onnx ships no types
        self._operator = operator
        self.inputs = inputs
        self.input_full_names = [given.full_name for given in inputs]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as above
        return getattr(self._operator, name)


def _in_float32(scope: Any, operator: Any, container: Any) -> None:  # noqa: ANN401 - skl2onnx ships no types
    """Trees of scikit-learn compare float32 values, whatever they are given (`sklearn.tree._classes.DTYPE`)."""
    [given] = operator.inputs
    if isinstance(given.type, DoubleTensorType):
        narrow = scope.declare_local_variable("narrow", FloatTensorType(given.type.shape))
        name = narrow.full_name
        container.add_node("Cast", [given.full_name], [name], to=TensorProto.FLOAT, name=name)
        operator = _Fed(operator, [narrow])
    get_converter(operator.type)(scope, operator, container)


def _vote(scope: Any, operator: Any, container: Any) -> None:  # noqa: ANN401 - skl2onnx ships no types
    forest = operator.raw_operator
    if forest.n_outputs_ > 1:
        _in_float32(scope, operator, container)
        return
    ContainerNodes(scope, operator, container).finish(lambda nodes: write_votes(nodes, forest))


def _scale(scope: Any, operator: Any, container: Any) -> None:  # noqa: ANN401 - skl2onnx ships no types
    """Step by step as scikit-learn does it in place, each result rounded to the type of the table.

    One rounding otherwise, and a value that lies on a threshold takes the other side of a tree behind the scaler; and
    XGBoost's thresholds are values of its training data.
    """
    given = operator.inputs[0].type
    last = _one_table(scope, operator, container)
    if isinstance(given, Int64TensorType):
        last = _node(scope, container, "Cast", last, to=TensorProto.DOUBLE)  # as scikit-learn's check_array does
    single = isinstance(given, FloatTensorType)
    for step, values in _steps(operator.raw_operator, np.dtype(np.float32 if single else np.float64)):
        # numpy computes in float64 where one side is, and rounds when it puts the result back in place.
        mixed = single and values.dtype == np.float64
        kind = TensorProto.FLOAT if single and not mixed else TensorProto.DOUBLE
        by = scope.get_unique_variable_name("by")
        container.add_initializer(by, kind, [1, len(values)] if values.ndim else [], values.ravel().tolist())
        wide = _node(scope, container, "Cast", last, to=TensorProto.DOUBLE) if mixed else last
        last = _node(scope, container, step, wide, by)
        last = _node(scope, container, "Cast", last, to=TensorProto.FLOAT) if mixed else last
    if isinstance(given, Int64TensorType):
        last = _node(scope, container, "Cast", last, to=TensorProto.FLOAT)
    output = operator.outputs[0].full_name
    container.add_node("Identity", [last], [output], name=output)


def _steps(scaler: Any, table: np.dtype) -> Iterator[tuple[str, np.ndarray]]:  # noqa: ANN401 - one of four
    """The operators of its `transform`, in order, and what each takes."""
    if isinstance(scaler, MinMaxScaler):
        yield from (("Mul", scaler.scale_), ("Add", scaler.min_))
        if scaler.clip:
            yield from zip(("Max", "Min"), np.array(scaler.feature_range, dtype=table), strict=True)
        return
    centre = {StandardScaler: "mean_", RobustScaler: "center_"}.get(type(scaler), "")
    for step, name in (("Sub", centre), ("Div", "scale_")):
        values = getattr(scaler, name, None)
        if values is not None and (step == "Div" or getattr(scaler, "with_mean", True)):
            # StandardScaler alone rounds its own numbers to the table's type.
            yield step, values.astype(table) if isinstance(scaler, StandardScaler) else values


def _node(scope: Any, container: Any, kind: str, *inputs: str, **attributes: int) -> str:  # noqa: ANN401 - as above
    name = str(scope.get_unique_variable_name(kind.lower()))
    container.add_node(kind, list(inputs), [name], name=name, **attributes)
    return name


def _one_table(scope: Any, operator: Any, container: Any) -> str:  # noqa: ANN401 - as above
    """An operator's inputs side by side."""
    names = [given.full_name for given in operator.inputs]
    return names[0] if len(names) == 1 else _node(scope, container, "Concat", *names, axis=1)


def _impute(scope: Any, operator: Any, container: Any) -> None:  # noqa: ANN401 - skl2onnx ships no types
    """ONNX Runtime's Imputer has no kernel for float64: Where instead, on the statistics as they are."""
    imputer = operator.raw_operator
    numbers = all(isinstance(given.type, DoubleTensorType) for given in operator.inputs)
    if not numbers or not _is_nan(imputer.missing_values) or imputer.add_indicator:
        get_converter("SklearnSimpleImputer")(scope, operator, container)
        return
    if np.isnan(imputer.statistics_.astype(np.float64)).any():
        raise UnsupportedModelError(
            "a column had no value at all in training, and SimpleImputer leaves it out.",
            remedy="Leave the column out, or fill it with SimpleImputer(keep_empty_features=True).",
        )
    table = _one_table(scope, operator, container)
    fill = scope.get_unique_variable_name("fill")
    container.add_initializer(fill, TensorProto.DOUBLE, [1, len(imputer.statistics_)], imputer.statistics_.tolist())
    output = operator.outputs[0].full_name
    container.add_node("Where", [_node(scope, container, "IsNaN", table), fill, table], [output], name=output)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and np.isnan(value)
