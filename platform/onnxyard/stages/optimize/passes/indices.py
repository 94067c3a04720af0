"""Where a graph uses values as indices: runtimes that compile do not ask whether they lie inside their table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from onnxyard.runtimes.graph import all_nodes

_KEEPING = frozenset({"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
"""What comes out are the values of the first input."""
_INDEXING = frozenset({"Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND"})


@dataclass(frozen=True, slots=True)
class IndexUse:
    """How a graph indexes.

    Attributes:
        ranges: Inputs whose values are indices as they are, as token ids: the least and the largest value allowed.
        unchecked: Nodes that index with computed values, or into a table of unknown length; by name or operator.
    """

    ranges: Mapping[str, tuple[int, int]]
    unchecked: tuple[str, ...]


def index_use(model: onnx.ModelProto) -> IndexUse:
    """Look for indices in a model whose weights are in memory."""
    nodes = list(all_nodes(model.graph))
    inferred = onnx.shape_inference.infer_shapes(model).graph if model.ByteSize() < 1 << 31 else model.graph
    shapes = {value.name: value.type.tensor_type.shape for value in (*inferred.value_info, *inferred.input)}
    fixed = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    constants = set(fixed) | {name for node in nodes if node.op_type == "Constant" for name in node.output}
    inputs = {value.name for value in model.graph.input} - constants
    maker = {name: node for node in nodes for name in node.output}
    ranges: dict[str, tuple[int, int]] = {}
    unchecked = []
    for node in nodes:
        if node.op_type not in _INDEXING or (origin := _origin(node.input[1], maker)) in constants:
            continue
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
        length = _length(node.input[0], axis, fixed, shapes)
        if node.op_type == "Gather" and origin in inputs and length is not None:
            least, largest = ranges.get(origin, (-length, length - 1))
            ranges[origin] = (max(least, -length), min(largest, length - 1))
        else:
            unchecked.append(node.name or node.op_type)
    return IndexUse(ranges, tuple(unchecked))


def _origin(name: str, maker: Mapping[str, onnx.NodeProto]) -> str:
    while name in maker and maker[name].op_type in _KEEPING:
        name = maker[name].input[0]
    return name


def _length(
    table: str, axis: int, fixed: Mapping[str, tuple[int, ...]], shapes: Mapping[str, onnx.TensorShapeProto]
) -> int | None:
    """The table's length along an axis; None where it is not known before a call."""
    if table in fixed:
        return fixed[table][axis]
    if table not in shapes or not shapes[table].dim or not shapes[table].dim[axis].HasField("dim_value"):
        return None
    return int(shapes[table].dim[axis].dim_value)
