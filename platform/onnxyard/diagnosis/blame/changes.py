"""What is different about a node, compared with the same node of another state of the graph."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from onnx import numpy_helper

from onnxyard.diagnosis.blame.probe import attributes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx

_PLUMBING = frozenset(
    {"Cast", "Concat", "Constant", "ConstantOfShape", "Expand", "Flatten", "Gather", "Identity", "Range", "Reshape"}
    | {"Shape", "Size", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"}
)
"""Operators that move values without computing any."""
_ELEMENTARY = frozenset(
    {
        "Abs",
        "Add",
        "And",
        "Ceil",
        "Clip",
        "Div",
        "Elu",
        "Equal",
        "Erf",
        "Exp",
        "Floor",
        "Gelu",
        "Greater",
        "HardSigmoid",
    }
    | {"HardSwish", "LeakyRelu", "Less", "Log", "Max", "Min", "Mish", "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal"}
    | {"Relu", "Round", "Selu", "Sigmoid", "Sign", "Softplus", "Sqrt", "Sub", "Tanh", "Where"}
)
"""Operators on single elements, of which larger ones are composed."""


_LEAST_WEIGHTS = 2
"""Single numbers are an exporter's own: an epsilon, an exponent, a length."""


class Changes:
    """Compares a graph with a fresh one, node by node.

    Args:
        model: The graph in question.
        fresh: What the exporter gives today; None where there is nothing to compare with.
        same_names: Whether both call a tensor the same. Where they do not, only the weights' values can be compared.
    """

    def __init__(self, model: onnx.ModelProto, fresh: onnx.ModelProto | None, *, same_names: bool) -> None:
        self._constants = _constants(model)
        self._fresh_constants = {} if fresh is None else _constants(fresh)
        self._fresh = (
            {name: node for node in fresh.graph.node for name in node.output if name}
            if fresh is not None and same_names
            else {}
        )
        self._foreign: dict[str, bool] = {}

    def of(self, node: onnx.NodeProto) -> tuple[str, ...]:
        """What is different, one text each; nothing where the fresh graph has no such node."""
        fresh = next((self._fresh[name] for name in node.output if name in self._fresh), None)
        if fresh is None:
            return ()
        if fresh.op_type != node.op_type:
            return (f"{node.op_type} instead of {fresh.op_type}",)
        have, want = attributes_of(node), attributes_of(fresh)
        told = [
            f"{key} is {have.get(key, 'not set')} instead of {want.get(key, 'not set')}"
            for key in sorted(have.keys() | want.keys())
            if have.get(key) != want.get(key)
        ]
        for at in range(max(len(node.input), len(fresh.input))):
            ours = node.input[at] if at < len(node.input) else ""
            theirs = fresh.input[at] if at < len(fresh.input) else ""
            told += self._of_input(ours, theirs)
        return tuple(told)

    def main(self, nodes: Sequence[onnx.NodeProto]) -> onnx.NodeProto:
        """The node of several that a difference is laid to.

        The first that was changed; else the only one that reads weights which the fresh graph has nowhere; else the
        first of weight.

        Args:
            nodes: In order; at least one.
        """
        changed = [node for node in nodes if self.of(node)]
        if not changed and self._fresh_constants:
            foreign = [node for node in nodes if any(map(self._is_foreign, node.input))]
            changed = foreign if len(foreign) == 1 else []
        computing = [node for node in nodes if node.op_type not in _PLUMBING]
        weighty = [node for node in computing if node.op_type not in _ELEMENTARY]
        return next(iter([*changed, *weighty, *computing, nodes[-1]]))

    def _is_foreign(self, name: str) -> bool:
        """Whether this is a weight that the fresh graph does not have, nor its transpose."""
        if name not in self._constants or math.prod(self._constants[name].dims) < _LEAST_WEIGHTS:
            return False
        if name not in self._foreign:
            value = numpy_helper.to_array(self._constants[name])
            alike = [each for each in self._fresh_constants.values() if math.prod(each.dims) == value.size]
            self._foreign[name] = not any(_same(value, numpy_helper.to_array(each)) for each in alike)
        return self._foreign[name]

    def _of_input(self, ours: str, theirs: str) -> list[str]:
        constant, fresh = self._constants.get(ours), self._fresh_constants.get(theirs)
        if constant is not None and fresh is not None:
            return _of_constant(ours, numpy_helper.to_array(constant), numpy_helper.to_array(fresh))
        return [] if ours == theirs else [f"reads {ours or 'nothing'} instead of {theirs or 'nothing'}"]


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.array_equal(one.ravel(), other.ravel()) or np.array_equal(one.T.ravel(), other.ravel()))


def _of_constant(name: str, have: np.ndarray, want: np.ndarray) -> list[str]:
    if have.shape != want.shape:
        return [f"{name} has the shape {list(have.shape)} instead of {list(want.shape)}"]
    different = np.count_nonzero((have != want) & ~((have != have) & (want != want)))  # noqa: PLR0124 - NaN equals NaN here
    if not different:
        return []
    if have.size == 1:
        return [f"{name} is {have.item()} instead of {want.item()}"]
    return [f"{name} differs in {different} of {have.size} values"]


def _constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    known = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            known[node.output[0]] = node.attribute[0].t
    return known
