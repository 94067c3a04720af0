"""From a booster's sums to its answers: the objective's link, then labels and probabilities as its own API has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

if TYPE_CHECKING:
    from onnxyard.sources.table_graph import Nodes

IDENTITY, SIGMOID, SOFTMAX, SQUARE, STEP = "identity", "sigmoid", "softmax", "signed square", "step"
EXP, SOFTPLUS = "Exp", "Softplus"
"""Called like ONNX's operators."""


def linked(graph: Nodes, sums: str, link: str, *, slope: float = 1.0) -> str:
    """Apply an objective's link to sums [rows, targets].

    Args:
        graph: Takes the nodes.
        sums: The booster's.
        link: One of this module's constants.
        slope: The factor before a SIGMOID.
    """
    if link == SIGMOID:
        given = graph.add("Sigmoid", sums if slope == 1.0 else graph.add("Mul", sums, _number(graph, slope)))
    elif link == SOFTMAX:
        given = graph.add("Softmax", sums, axis=1)
    elif link == SQUARE:
        given = graph.add("Mul", sums, graph.add("Abs", sums))
    elif link == STEP:
        given = graph.add("Cast", graph.add("Greater", sums, _number(graph, 0.0)), to=TensorProto.FLOAT)
    else:
        given = sums if link == IDENTITY else graph.add(link, sums)
    return given


def both_sides(graph: Nodes, probability: str) -> str:
    """[rows, 1] of the second class to [rows, 2] of both."""
    other = graph.add("Sub", _number(graph, 1.0), probability)
    return graph.add("Concat", other, probability, axis=1)


def most_likely(graph: Nodes, probabilities: str, classes: np.ndarray) -> str:
    """The class (of int64 or object holding str) of each row's largest probability: [rows]."""
    best = graph.add("ArgMax", probabilities, axis=1, keepdims=0)
    return graph.add("Gather", graph.constant(classes), best, axis=0)


def above_half(graph: Nodes, probabilities: str) -> str:
    """Whether each of several independent labels holds: BOOL [rows, labels]."""
    return graph.add("Greater", probabilities, _number(graph, 0.5))


def _number(graph: Nodes, value: float) -> str:
    return graph.constant(np.array([value], dtype=np.float32))
