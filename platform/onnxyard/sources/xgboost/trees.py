"""Reading XGBoost's trees from its JSON (the schema is `doc/model.schema` of its repository)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.forest import LESS, Forest
from onnxyard.sources.margins import EXP, IDENTITY, SIGMOID, SOFTMAX, STEP

if TYPE_CHECKING:
    import xgboost

_LINKS = {
    "reg:squarederror": IDENTITY,
    "reg:squaredlogerror": IDENTITY,
    "reg:absoluteerror": IDENTITY,
    "reg:pseudohubererror": IDENTITY,
    "reg:quantileerror": IDENTITY,
    "reg:logistic": SIGMOID,
    "reg:gamma": EXP,
    "reg:tweedie": EXP,
    "count:poisson": EXP,
    "survival:cox": EXP,
    "survival:aft": EXP,
    "binary:logistic": SIGMOID,
    "binary:logitraw": IDENTITY,
    "binary:hinge": STEP,
    "multi:softprob": SOFTMAX,
    "multi:softmax": SOFTMAX,
    "rank:pairwise": IDENTITY,
    "rank:ndcg": IDENTITY,
    "rank:map": IDENTITY,
}
"""By objective: how its sums become what predict gives (`PredTransform` of each in src/objective)."""
_LOGIT = {"reg:logistic", "binary:logistic", "binary:logitraw"}
_CATEGORICAL = 1
_NO_CHILD = -1


@dataclass(frozen=True)
class Trees:
    """A booster, read.

    Attributes:
        objective: As `reg:squarederror`.
        link: How sums become answers.
        classes: Number of classes of a multi-class model; 0 for others.
        forest: The trees.
    """

    objective: str
    link: str
    classes: int
    forest: Forest


def read_trees(booster: xgboost.Booster, *, rounds: int | None) -> Trees:
    """Read a booster's trees.

    Args:
        booster: The booster.
        rounds: How many boosting rounds predict uses; None for all.

    Raises:
        UnsupportedModelError: it holds something else than trees, or an objective that is not known here.
    """
    learner = json.loads(booster.save_raw("json"))["learner"]
    objective = str(learner["objective"]["name"])
    if objective not in _LINKS:
        raise UnsupportedModelError(
            f"The objective {objective} has no translation to ONNX here.", remedy=f"Known: {', '.join(sorted(_LINKS))}."
        )
    kind = str(learner["gradient_booster"]["name"])
    if kind not in {"gbtree", "dart"}:
        raise UnsupportedModelError(
            f"The booster {kind} holds no trees.", remedy="Use gbtree or dart; for a linear model take scikit-learn's."
        )
    shape = learner["learner_model_param"]
    classes, targets = int(shape["num_class"]), int(shape["num_target"])
    forest = Forest(max(classes, targets, 1), _base(str(shape["base_score"]), objective, max(classes, targets, 1)))
    boosted = learner["gradient_booster"]
    weights = boosted.get("weight_drop")
    model = boosted["gbtree"]["model"] if kind == "dart" else boosted["model"]
    used = model["iteration_indptr"][rounds] if rounds is not None else len(model["trees"])
    for number, tree in enumerate(model["trees"][:used]):
        _read(forest, number, tree, model["tree_info"][number], 1.0 if weights is None else weights[number])
    return Trees(objective, _LINKS[objective], classes, forest)


def _base(score: str, objective: str, targets: int) -> np.ndarray:
    """What the sums start from: `base_score` is kept as an answer, so the link is undone (`ProbToMargin`)."""
    values = np.array(json.loads(score if score.startswith("[") else f"[{score}]"), dtype=np.float32)
    base = np.resize(values, targets)
    if objective in _LOGIT:
        base = -np.log(np.float32(1) / base - np.float32(1))
    elif _LINKS[objective] == EXP:
        base = np.log(base)
    return np.asarray(base, dtype=np.float32)


def _read(forest: Forest, number: int, tree: dict[str, Any], target: int, weight: float) -> None:
    left, right, missing_left = tree["left_children"], tree["right_children"], tree["default_left"]
    chosen = _categories(tree)
    width = int(tree["tree_param"]["size_leaf_vector"])
    free = len(left)
    for node in range(len(left)):
        if left[node] == _NO_CHILD:
            # A leaf of several values holds its position among them where others have their right child.
            values = (
                tree["leaf_weights"][right[node] * width :][:width] if width > 1 else [tree["split_conditions"][node]]
            )
            for at, value in enumerate(values):
                forest.leaf(number, node, target=target if width == 1 else at, weight=float(np.float32(value) * weight))
            continue
        asked = {"feature": tree["split_indices"][node], "missing": bool(missing_left[node])}
        if tree["split_type"][node] == _CATEGORICAL:
            # Categories of the set go right, everything else left.
            asked["missing"] = not asked["missing"]
            free = forest.one_of(number, node, values=chosen[node], yes=right[node], no=left[node], free=free, **asked)
        else:
            # JSON has the shortest text that stands for the float32: a slightly other number until it is one again.
            value = float(np.float32(tree["split_conditions"][node]))
            forest.split(number, node, mode=LESS, value=value, yes=left[node], no=right[node], **asked)


def _categories(tree: dict[str, Any]) -> dict[int, list[int]]:
    """The set of categories of each categorical node."""
    parts = zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
    return {node: tree["categories"][start : start + size] for node, start, size in parts}
