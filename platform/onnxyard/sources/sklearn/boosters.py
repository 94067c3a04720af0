"""Boosters as steps of a pipeline: their trees are written as those of a booster alone are."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from onnx import TensorProto, numpy_helper
from skl2onnx import update_registered_converter
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType

from onnxyard.sources.table_graph import ML

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

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
    _Nodes(scope, operator, container).finish(lambda nodes: write_answers(nodes, Fitted(api_of(model), model)))


def _lightgbm(scope: Any, operator: Any, container: Any) -> None:  # noqa: ANN401 - skl2onnx ships no types
    from onnxyard.sources.lightgbm.exporting import write_answers  # noqa: PLC0415 - only where there is one
    from onnxyard.sources.lightgbm.reference import Fitted, classes_of  # noqa: PLC0415 - as above

    model = operator.raw_operator
    double = isinstance(operator.inputs[0].type, DoubleTensorType)
    fitted = Fitted(model.booster_, classes_of(model), named=False)
    _Nodes(scope, operator, container).finish(lambda nodes: write_answers(nodes, fitted, double=double))


class _Nodes:
    """skl2onnx's container, as the writers of trees see a graph."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:  # noqa: ANN401 - skl2onnx ships no types
        self._scope = scope
        self._operator = operator
        self._container = container

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:  # noqa: ANN401 - ONNX's
        name = self._scope.get_unique_variable_name(operator.lower())
        version = (3 if "nodes_values_as_tensor" in attributes else 1) if domain == ML else None
        self._container.add_node(
            operator, list(inputs), [name], op_domain=domain, op_version=version, name=name, **attributes
        )
        return str(name)

    def constant(self, values: np.ndarray) -> str:
        name = self._scope.get_unique_variable_name("constant")
        tensor = numpy_helper.from_array(values, name)
        content = tensor.string_data if tensor.data_type == TensorProto.STRING else values.ravel().tolist()
        self._container.add_initializer(name, tensor.data_type, list(values.shape), list(content))
        return str(name)

    def matrix(self, *, to: int | None = None) -> str:
        [given] = self._operator.inputs
        return self.add("Cast", given.full_name, to=to)

    def finish(self, write: Callable[[_Nodes], tuple[str, ...]]) -> None:
        """Write, and give the answers the names that skl2onnx has for them."""
        for answer, output in zip(write(self), self._operator.outputs, strict=True):
            self._container.add_node("Identity", [answer], [output.full_name], name=output.full_name)
