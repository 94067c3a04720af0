"""From a booster to its ONNX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.boosted_trees import BoostedTrees
from onnxyard.sources.lightgbm.reference import RUNTIME, Fitted, is_wide, load, read
from onnxyard.sources.lightgbm.trees import read_trees
from onnxyard.sources.margins import SIGMOID, SOFTMAX, both_sides, linked, most_likely

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onnxyard.project.project import Project
    from onnxyard.sources.source import Asked, Attempt
    from onnxyard.sources.table_graph import Nodes

ML_VERSIONS = {False: 1, True: 3}
"""Of `ai.onnx.ml`, by whether it compares float64."""


def attempts(project: Project, folder: Path, asked: Asked) -> Iterator[Attempt]:
    """As `Source.attempts`."""
    fitted = read(folder)
    trees = BoostedTrees(
        RUNTIME,
        load(project, folder),
        write=lambda graph, table: write_answers(graph, fitted, double=is_wide(table)),
        ml=lambda table: ML_VERSIONS[is_wide(table)],
    )
    yield from trees.attempts(asked)


def write_answers(graph: Nodes, fitted: Fitted, *, double: bool) -> tuple[str, ...]:
    """Add the trees and what follows them; the names of what the model's own API gives.

    Raises:
        UnsupportedModelError: see `read_trees`; or a classifier whose objective gives no probabilities.
    """
    trees = read_trees(fitted.booster, double=double)
    given = linked(graph, trees.forest.write(graph), trees.link, slope=trees.slope)
    if fitted.classes is None:
        return (given,)
    if trees.link not in {SIGMOID, SOFTMAX}:
        raise UnsupportedModelError(
            f"An LGBMClassifier with the objective {trees.objective} gives no probabilities.",
            remedy="Use binary, multiclass or multiclassova, or return its booster_.",
        )
    both = both_sides(graph, given) if trees.forest.targets == 1 else given
    return most_likely(graph, both, fitted.classes), both
