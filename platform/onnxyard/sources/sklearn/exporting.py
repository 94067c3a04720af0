"""From an estimator to its ONNX graph, by skl2onnx; the ways differ in the types that numbers are given to it in.

- As they are: each step computes in the type that scikit-learn computes in, whole numbers stay whole, and whole numbers
  beside float32 become float64 as they do in a frame. Not every operator has a kernel for float64.
- As float32: what ONNX Runtime has all kernels for. Trees compare float32 values exactly, but a scaler before them
  rounds otherwise than scikit-learn does in float64, so that a value that lies on a threshold may take the other side.
- As float64: for what is left.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import skl2onnx
from onnx import TensorProto
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common._registration import get_converter
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType
from sklearn.base import BaseEstimator, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.detours import ways_to
from onnxyard.sources.saving import save_model
from onnxyard.sources.sidecar import sidecar
from onnxyard.sources.sklearn.boosters import register
from onnxyard.sources.sklearn.converters import converters
from onnxyard.sources.sklearn.fitting import FILE
from onnxyard.sources.sklearn.places import places
from onnxyard.sources.sklearn.reference import model_of
from onnxyard.sources.sklearn.refusal import check_known, refusal
from onnxyard.sources.sklearn.storing import load as read
from onnxyard.sources.source import Asked, Attempt, Exported
from onnxyard.sources.table_graph import ML, TableGraph
from onnxyard.sources.table_model import TableModel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import onnx

    from onnxyard.project.project import Project
    from onnxyard.sources.table import Column, Table

OPSETS = range(9, skl2onnx.__max_supported_opset__ + 1)
_ML = 3
"""The newest version of `ai.onnx.ml` that skl2onnx 1.20 writes; each graph says what it really needs."""
_BODY = "sklearn/"
_COLUMN_BY_COLUMN = (OneHotEncoder, OrdinalEncoder)
"""What looks at each column by itself, in its own type."""
_TYPES: dict[int, Any] = {
    TensorProto.STRING: StringTensorType,
    TensorProto.INT64: Int64TensorType,
    TensorProto.FLOAT: FloatTensorType,
    TensorProto.DOUBLE: DoubleTensorType,
}


def attempts(project: Project, folder: Path, asked: Asked) -> Iterator[Attempt]:
    """As `Source.attempts`."""
    estimator = read(folder / FILE)
    register()
    check_known(estimator)
    reference = model_of(project, estimator)

    def export(opset: int) -> Iterator[Attempt]:
        way = _Way(estimator, reference, asked, opset)
        yield Attempt("skl2onnx", way.with_numbers(None, "as they are"))
        yield Attempt("skl2onnx in float32", way.with_numbers(TensorProto.FLOAT, "as float32"))
        yield Attempt("skl2onnx in float64", way.with_numbers(TensorProto.DOUBLE, "as float64"))

    yield from ways_to(asked, OPSETS, "skl2onnx", export)


@dataclass(frozen=True)
class _Way:
    estimator: Any
    reference: TableModel
    asked: Asked
    opset: int

    def with_numbers(self, kind: int | None, said: str) -> Any:  # noqa: ANN401 - an Attempt's make
        def make(model_file: Path) -> Exported:
            made = self._graph(kind)
            save_model(made, model_file)
            exporter = f"skl2onnx {skl2onnx.__version__}, numbers {said}"
            return Exported(exporter, sidecar(made, {}, {}, exporter=exporter))

        return make

    def _graph(self, kind: int | None) -> onnx.ModelProto:
        like = self.reference.run(self.asked.inputs)
        table = self.reference.table(self.asked.inputs)
        graph = TableGraph(self.asked, table, self.opset)
        types: list[tuple[str, Any]] = []
        if table.is_mixed or any(isinstance(step, ColumnTransformer) for _, step in places(self.estimator)):
            kinds = _kinds(self.estimator, table, kind)
            for column in table.columns:
                number = kinds[column.name]
                graph.column(column, to=None if column.is_text else number, name=_BODY + column.name)
                types.append((column.name, _TYPES[number]([None, 1])))
        else:
            number = _common({_kind(column, kind) for column in table.columns})
            graph.matrix(to=None if number == TensorProto.STRING else number, name=f"{_BODY}table")
            types.append(("table", _TYPES[number]([None, len(table.columns)])))
        body = _converted(self.estimator, types, self.opset)
        given = _answers(graph, body, graph.embed(body, _BODY), list(like.values()))
        if len(given) != len(like):
            raise UnsupportedModelError(f"skl2onnx gives {len(given)} outputs, the estimator {len(like)}.")
        ml = next((entry.version for entry in body.opset_import if entry.domain == ML), 1)
        return graph.model(dict(zip(self.asked.outputs, given, strict=True)), like, ml=ml)


def _answers(
    graph: TableGraph, body: onnx.ModelProto, given: tuple[str, ...], like: list[np.ndarray]
) -> tuple[str, ...]:
    """What skl2onnx gives in the shape of what scikit-learn gives: it puts together what that gives apart."""
    if len(given) != 2 or len(like) < 2:  # a label and what it was decided by stand apart
        return given
    first, second = given
    if len(like) == len(given):
        if like[1].ndim == 1 and _rank(body.graph.output[1]) != 1:
            # Of two classes scikit-learn's decision_function tells the second one's score only.
            return first, graph.add("Gather", second, graph.constant(np.array([-1])), axis=1)
        return given
    # Several targets: a sequence of tensors, or one tensor that is padded to the most classes.
    is_sequence = body.graph.output[1].type.WhichOneof("value") == "sequence_type"
    parts = []
    for at, wanted in enumerate(like[1:]):
        if is_sequence:
            parts.append(graph.add("SequenceAt", second, graph.constant(np.array(at))))
        else:
            whole = graph.add("Gather", second, graph.constant(np.array(at)), axis=0)
            parts.append(graph.add("Gather", whole, graph.constant(np.arange(wanted.shape[1])), axis=1))
    return first, *parts


def _converted(estimator: Any, types: list[tuple[str, Any]], opset: int) -> onnx.ModelProto:  # noqa: ANN401 - any estimator
    try:
        with warnings.catch_warnings():
            # What it warns of is its own code (deprecated calls into scikit-learn and numpy): nothing to be done here.
            warnings.simplefilter("ignore")
            made: onnx.ModelProto = skl2onnx.convert_sklearn(
                estimator,
                name="estimator",
                initial_types=types,
                target_opset={"": opset, ML: _ML},
                # Probabilities as one tensor, not as a dictionary for each row.
                options={id(step): options for _, step in places(estimator) if (options := _options(step))},
                **converters(),
            )
    except Exception as error:  # its converters raise anything: RuntimeError, KeyError, AssertionError, numpy's own
        raise refusal(error, estimator) from error
    return made


def _options(step: Any) -> dict[str, bool]:  # noqa: ANN401 - any estimator
    """Probabilities as one tensor, not as a dictionary for each row; scores where there are no probabilities."""
    # A pipeline's own would be put upon its last step, whether that one knows them or not.
    if not is_classifier(step) or isinstance(step, Pipeline) or type(step) not in sklearn_operator_name_map:
        return {}
    allowed = get_converter(sklearn_operator_name_map[type(step)]).get_allowed_options() or {}
    wanted = {"zipmap": False, "raw_scores": not hasattr(step, "predict_proba")}
    return {name: value for name, value in wanted.items() if name in allowed}


def _kinds(estimator: Any, table: Table, kind: int | None) -> dict[str, int]:  # noqa: ANN401 - any estimator
    """The element type each column is given in: texts stay, numbers become `kind`.

    Where that is None, a number keeps its type, unless a transformer takes it together with numbers of another one:
    then all of them get the type that numpy has for both, as in the frame that the transformer cuts out.
    """
    kinds = {column.name: _kind(column, kind) for column in table.columns}
    for chosen in _together(estimator, table) if kind is None else ():
        found = {kinds[name] for name in chosen} - {TensorProto.STRING}
        if len(found) > 1:
            kinds.update(dict.fromkeys(chosen, TensorProto.DOUBLE))
    return kinds


def _together(estimator: Any, table: Table) -> Iterator[list[str]]:  # noqa: ANN401 - any estimator
    """The columns that each transformer of a ColumnTransformer takes at once."""
    for _, step in places(estimator):
        if isinstance(step, ColumnTransformer):
            for _, transformer, columns in step.transformers_:
                first = transformer.steps[0][1] if isinstance(transformer, Pipeline) else transformer
                if isinstance(first, BaseEstimator) and not isinstance(first, _COLUMN_BY_COLUMN):
                    names = [columns] if isinstance(columns, str) else list(columns)
                    yield [name for name in names if name in table.names]


def _kind(column: Column, kind: int | None) -> int:
    if column.is_text:
        return TensorProto.STRING
    if kind is not None:
        return kind
    if column.dtype.kind in "biu":
        return TensorProto.INT64
    return TensorProto.DOUBLE if column.dtype.itemsize > 4 else TensorProto.FLOAT


def _common(kinds: set[int]) -> int:
    """The type that numpy has for numbers of several: float64 for whole ones beside float32."""
    return kinds.pop() if len(kinds) == 1 else TensorProto.DOUBLE


def _rank(value: onnx.ValueInfoProto) -> int:
    return len(value.type.tensor_type.shape.dim)
