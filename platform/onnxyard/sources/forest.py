"""Boosted trees as ONNX: one TreeEnsembleRegressor of `ai.onnx.ml`, written node by node.

onnxmltools 1.16 converts most boosters well, and some to something else without a word (measured with XGBoost 3.2 and
LightGBM 4.7: reg:logistic, several targets or labels, early stopping of parallel trees; random forests, reg_sqrt,
linear trees, zero_as_missing, multiclassova); others it refuses though ONNX can hold them. Both boosters say in JSON
what each node does, so it is written down from there.

A node's question and ONNX's are the same where thresholds are: comparing a float32 value with a float64 threshold t is
comparing it with the largest float32 that is at most t (`<=`), or the smallest that is at least t (`<`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.table_graph import ML

if TYPE_CHECKING:
    from onnxyard.sources.table_graph import Nodes

LESS = "BRANCH_LT"
AT_MOST = "BRANCH_LEQ"
EQUAL = "BRANCH_EQ"
_LEAF = "LEAF"


@dataclass
class Forest:
    """Trees, as their nodes are read off a booster. The answer to a row is the sum of its leaves, per target.

    Attributes:
        targets: Number of sums.
        base: What each sum starts from.
        double: Whether features and thresholds are float64, else float32.
    """

    targets: int
    base: np.ndarray
    double: bool = False
    _nodes: list[tuple[int, int, int, str, float, int, int, bool]] = field(default_factory=list)
    _leaves: list[tuple[int, int, int, float]] = field(default_factory=list)

    def split(
        self, tree: int, node: int, *, feature: int, mode: str, value: float, yes: int, no: int, missing: bool
    ) -> None:
        """Add an inner node.

        Args:
            tree: Its tree.
            node: Its number within the tree; 0 is the root.
            feature: The column that is asked.
            mode: LESS, AT_MOST or EQUAL.
            value: What it is compared with.
            yes: The node that follows where it holds.
            no: The node that follows elsewhere.
            missing: Whether NaN goes to `yes`.
        """
        self._nodes.append((tree, node, feature, mode, value, yes, no, missing))

    def one_of(
        self, tree: int, node: int, *, feature: int, values: list[int], yes: int, no: int, missing: bool, free: int
    ) -> int:
        """Add a node that asks whether a category is one of `values`: a chain of EQUAL, as `ai.onnx.ml` 1 knows sets.

        Args:
            tree: Its tree.
            node: Its number within the tree.
            feature: The column that is asked.
            values: The categories, at least one.
            yes: The node that follows where it is one of them.
            no: The node that follows elsewhere.
            missing: Whether NaN goes to `yes`.
            free: The first number that no node of the tree has.

        Returns:
            The first number that is free now.
        """
        here = node
        for value in values[:-1]:
            self.split(tree, here, feature=feature, mode=EQUAL, value=value, yes=yes, no=free, missing=missing)
            here, free = free, free + 1
        self.split(tree, here, feature=feature, mode=EQUAL, value=values[-1], yes=yes, no=no, missing=missing)
        return free

    def leaf(self, tree: int, node: int, *, target: int, weight: float) -> None:
        """Add what a leaf adds to one target; a leaf that adds to several is told once for each."""
        self._leaves.append((tree, node, target, weight))

    def write(self, graph: Nodes) -> str:
        """Add the ensemble over all columns to a graph; the name of its sums, FLOAT [rows, targets].

        Raises:
            UnsupportedModelError: there is no tree.
        """
        if not self._leaves:
            raise UnsupportedModelError("The booster holds no trees.", remedy="Fit it for at least one round.")
        features = graph.matrix(to=TensorProto.DOUBLE if self.double else TensorProto.FLOAT)
        return graph.add("TreeEnsembleRegressor", features, domain=ML, **self._attributes())

    def _attributes(self) -> dict[str, object]:
        ends = sorted({(tree, node) for tree, node, _, _ in self._leaves})
        nodes = sorted([*self._nodes, *((tree, node, 0, _LEAF, 0.0, 0, 0, False) for tree, node in ends)])
        trees, numbers, features, modes, values, yes, no, missing = (
            list(column) for column in zip(*nodes, strict=True)
        )
        leaf_trees, leaf_nodes, targets, weights = (list(column) for column in zip(*self._leaves, strict=True))
        return {
            "n_targets": self.targets,
            "nodes_treeids": trees,
            "nodes_nodeids": numbers,
            "nodes_featureids": features,
            "nodes_modes": modes,
            "nodes_truenodeids": yes,
            "nodes_falsenodeids": no,
            "nodes_missing_value_tracks_true": [int(tracks) for tracks in missing],
            "target_treeids": leaf_trees,
            "target_nodeids": leaf_nodes,
            "target_ids": targets,
            **self._numbers("nodes_values", [_rounded(*pair) for pair in zip(modes, values, strict=True)], values),
            **self._numbers("target_weights", weights, weights),
            **self._numbers("base_values", self.base.tolist(), self.base.tolist()),
        }

    def _numbers(self, name: str, single: list[float], double: list[float]) -> dict[str, object]:
        if not self.double:
            return {name: single}
        return {f"{name}_as_tensor": helper.make_tensor(name, TensorProto.DOUBLE, [len(double)], double)}


def _rounded(mode: str, value: float) -> float:
    """The float32 that parts float32 values as this float64 does."""
    with np.errstate(over="ignore"):  # LightGBM's 1e300, where only NaN goes the other way
        near = np.float32(value)
    # Compared as Python's floats: numpy would round the other side to float32 first.
    if mode == AT_MOST and float(near) > value:
        near = np.nextafter(near, np.float32(-np.inf))
    elif mode == LESS and float(near) < value:
        near = np.nextafter(near, np.float32(np.inf))
    return float(near)
