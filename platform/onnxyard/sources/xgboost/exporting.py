"""From a booster to its ONNX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.detours import ways_to
from onnxyard.sources.margins import SIGMOID, SOFTMAX, STEP, above_half, both_sides, linked, most_likely
from onnxyard.sources.saving import save_model
from onnxyard.sources.sidecar import sidecar
from onnxyard.sources.source import Asked, Attempt, Exported
from onnxyard.sources.table_graph import Nodes, TableGraph
from onnxyard.sources.xgboost.reference import RUNTIME, Fitted, load, read
from onnxyard.sources.xgboost.trees import Trees, read_trees

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import onnx

    from onnxyard.project.project import Project
    from onnxyard.sources.table_model import TableModel

OPSETS = range(9, 28)
"""What the graph holds beside the trees means the same at all of these."""
ML_VERSION = 1
"""Of `ai.onnx.ml`: XGBoost itself compares float32."""


def attempts(project: Project, folder: Path, asked: Asked) -> Iterator[Attempt]:
    """As `Source.attempts`."""
    fitted, reference = read(folder), load(project, folder)

    def export(opset: int) -> Iterator[Attempt]:
        def write(model_file: Path) -> Exported:
            made = _graph(fitted, reference, asked, opset)
            save_model(made, model_file)
            exporter = f"onnxyard trees of {RUNTIME}"
            return Exported(exporter, sidecar(made, {}, {}, exporter=exporter))

        yield Attempt("trees of XGBoost", write)

    yield from ways_to(asked, OPSETS, "trees of XGBoost", export)


def _graph(fitted: Fitted, reference: TableModel, asked: Asked, opset: int) -> onnx.ModelProto:
    like = reference.run(asked.inputs)
    graph = TableGraph(asked, reference.table(asked.inputs), opset)
    tensors = write_answers(graph, fitted)
    return graph.model(dict(zip(asked.outputs, tensors, strict=True)), like, ml=ML_VERSION)


def write_answers(graph: Nodes, fitted: Fitted) -> tuple[str, ...]:
    """Add the trees and what follows them; the names of what the model's own API gives.

    Raises:
        UnsupportedModelError: see `read_trees`; or a classifier whose objective gives no probabilities.
    """
    trees = read_trees(fitted.booster, rounds=_rounds(fitted))
    sums = trees.forest.write(graph)
    if fitted.api == "XGBClassifier":
        return _classified(graph, trees, linked(graph, sums, trees.link))
    if trees.objective == "multi:softmax":
        return (graph.add("ArgMax", sums, axis=1, keepdims=0),)
    return (linked(graph, sums, trees.link),)


def _rounds(fitted: Fitted) -> int | None:
    """As XGBModel.predict: up to the best iteration where training stopped early. A Booster takes all."""
    best = fitted.booster.attr("best_iteration")
    return None if best is None or fitted.api == "Booster" else int(best) + 1


def _classified(graph: Nodes, trees: Trees, given: str) -> tuple[str, ...]:
    """As XGBClassifier.predict and predict_proba."""
    if trees.link not in {SIGMOID, SOFTMAX, STEP}:
        raise UnsupportedModelError(
            f"An XGBClassifier with the objective {trees.objective} gives no probabilities.",
            remedy="Use binary:logistic or multi:softprob, or return its Booster.",
        )
    if trees.classes:
        return most_likely(graph, given, np.arange(trees.classes)), given
    if trees.forest.targets > 1:
        return graph.add("Cast", above_half(graph, given), to=TensorProto.INT64), given
    both = both_sides(graph, given)
    return most_likely(graph, both, np.arange(2)), both
