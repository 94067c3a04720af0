"""Reading LightGBM's trees from what `Booster.dump_model` says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.forest import AT_MOST, Forest
from onnxyard.sources.margins import EXP, IDENTITY, SIGMOID, SOFTMAX, SOFTPLUS, SQUARE

if TYPE_CHECKING:
    import lightgbm

_LINKS = {
    "regression": IDENTITY,
    "regression_l1": IDENTITY,
    "huber": IDENTITY,
    "fair": IDENTITY,
    "quantile": IDENTITY,
    "mape": IDENTITY,
    "poisson": EXP,
    "gamma": EXP,
    "tweedie": EXP,
    "binary": SIGMOID,
    "cross_entropy": SIGMOID,
    "cross_entropy_lambda": SOFTPLUS,
    "multiclass": SOFTMAX,
    "multiclassova": SIGMOID,
    "lambdarank": IDENTITY,
    "rank_xendcg": IDENTITY,
}
"""By objective: how its sums become what predict gives (`ConvertOutput` of each in src/objective)."""
_CATEGORICAL = "=="


@dataclass(frozen=True)
class Trees:
    """A booster, read.

    Attributes:
        objective: As `binary`.
        link: How sums become answers.
        slope: The factor before a sigmoid.
        forest: The trees.
    """

    objective: str
    link: str
    slope: float
    forest: Forest


def read_trees(booster: lightgbm.Booster, *, double: bool) -> Trees:
    """Read a booster's trees.

    Args:
        booster: The booster.
        double: Whether features are float64.

    Raises:
        UnsupportedModelError: an objective that is not known here, linear leaves, or zeros that count as missing.
    """
    dump = booster.dump_model()
    objective, *options = str(dump.get("objective", "regression")).split()
    if objective not in _LINKS:
        raise UnsupportedModelError(
            f"The objective {objective} has no translation to ONNX here.", remedy=f"Known: {', '.join(sorted(_LINKS))}."
        )
    settings = dict(option.partition(":")[::2] for option in options)
    link = SQUARE if "sqrt" in settings else _LINKS[objective]
    targets = int(dump["num_tree_per_iteration"])
    forest = Forest(targets, np.zeros(targets), double)
    trees = dump["tree_info"]
    # A random forest's answer is the mean of its rounds, not their sum.
    share = targets / len(trees) if dump["average_output"] else 1.0
    for number, tree in enumerate(trees):
        _read(forest, number, tree["tree_structure"], number % targets, share)
    return Trees(objective, link, float(settings.get("sigmoid") or 1.0), forest)


def _read(forest: Forest, tree: int, root: dict[str, Any], target: int, share: float) -> None:
    """Number the nodes as they are met; an explicit stack, because trees may be as deep as they have leaves."""
    waiting, free = [(0, root)], 1
    while waiting:
        number, node = waiting.pop()
        if "leaf_value" in node:
            if "leaf_coeff" in node:
                raise UnsupportedModelError(
                    "The leaves hold linear models, which ONNX's tree ensembles cannot.",
                    remedy="Fit without linear_tree.",
                )
            forest.leaf(tree, number, target=target, weight=node["leaf_value"] * share)
            continue
        yes, no = free, free + 1
        free += 2
        waiting += [(yes, node["left_child"]), (no, node["right_child"])]
        if node["decision_type"] == _CATEGORICAL:
            # NaN and negative categories are never in the set, so they go right.
            values = [int(value) for value in str(node["threshold"]).split("||")]
            free = forest.one_of(
                tree, number, feature=node["split_feature"], values=values, yes=yes, no=no, missing=False, free=free
            )
        else:
            forest.split(
                tree,
                number,
                feature=node["split_feature"],
                mode=AT_MOST,
                value=node["threshold"],
                yes=yes,
                no=no,
                missing=_missing_left(node),
            )


def _missing_left(node: dict[str, Any]) -> bool:
    """Where NaN goes (`NumericalDecision` in include/LightGBM/tree.h)."""
    if node["missing_type"] == "None":
        return bool(node["threshold"] >= 0)  # a column that had no NaN in training: counts as 0
    if node["missing_type"] == "Zero":
        raise UnsupportedModelError(
            "Zeros count as missing, which ONNX's tree ensembles do not know.",
            remedy="Fit without zero_as_missing and give NaN where a value is missing.",
        )
    return bool(node["default_left"])
