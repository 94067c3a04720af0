"""Random forests whose ties are decided as scikit-learn decides them.

A grown forest's trees vote with whole votes, so that exact ties are common: 1 to 3 % of rows with 100 trees and two
classes. scikit-learn counts votes, divides, and takes the first of equals. skl2onnx divides first, and sums of 0.01 in
float32 are no exact counts: the label of a tie is then left to rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from onnxyard.sources.forest import AT_MOST, Forest
from onnxyard.sources.margins import most_likely
from onnxyard.sources.table_model import plain

if TYPE_CHECKING:
    from onnxyard.sources.table_graph import Nodes

_LEAF = -1


def write_votes(graph: Nodes, forest: Any) -> tuple[str, ...]:  # noqa: ANN401 - a fitted ForestClassifier
    """Add a forest of one target; the names of its labels and of its probabilities."""
    trees = Forest(len(forest.classes_), np.zeros(len(forest.classes_)))
    for number, one in enumerate(forest.estimators_):
        _read(trees, number, one.tree_)
    count = graph.constant(np.array([len(forest.estimators_)], dtype=np.float32))
    probabilities = graph.add("Div", trees.write(graph), count)
    return most_likely(graph, probabilities, plain(forest.classes_)), probabilities


def _read(trees: Forest, number: int, tree: Any) -> None:  # noqa: ANN401 - sklearn.tree._tree.Tree
    left, right, shares = tree.children_left, tree.children_right, tree.value[:, 0, :]
    for node in range(tree.node_count):
        if left[node] == _LEAF:
            votes = shares[node] / shares[node].sum()
            for target in np.flatnonzero(votes):
                trees.leaf(number, node, target=int(target), weight=float(votes[target]))
        else:
            trees.split(
                number,
                node,
                feature=int(tree.feature[node]),
                mode=AT_MOST,
                value=float(tree.threshold[node]),
                yes=int(left[node]),
                no=int(right[node]),
                missing=bool(tree.missing_go_to_left[node]),
            )
