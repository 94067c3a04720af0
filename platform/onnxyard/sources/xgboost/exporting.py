"""From a booster to its ONNX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.boosted_trees import BoostedTrees
from onnxyard.sources.margins import SIGMOID, SOFTMAX, STEP, above_half, both_sides, linked, most_likely
from onnxyard.sources.xgboost.reference import RUNTIME, Fitted, load, read
from onnxyard.sources.xgboost.trees import Trees, read_trees

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onnxyard.project.project import Project
    from onnxyard.sources.source import Asked, Attempt
    from onnxyard.sources.table_graph import Nodes

ML_VERSION = 1
"""Of `ai.onnx.ml`: XGBoost itself compares float32."""


def attempts(project: Project, folder: Path, asked: Asked) -> Iterator[Attempt]:
    """As `Source.attempts`."""
    fitted = read(folder)
    trees = BoostedTrees(
        RUNTIME,
        load(project, folder),
        write=lambda graph, _table: write_answers(graph, fitted),
        ml=lambda _table: ML_VERSION,
    )
    yield from trees.attempts(asked)


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
