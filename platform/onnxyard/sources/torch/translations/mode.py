"""The most frequent value. Torch 2.13 has no ONNX form for it."""

from __future__ import annotations

from onnxscript import ir

from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.writing import GraphValue, op


def _mode(values: GraphValue, dim: int = -1, keepdim: bool = False) -> list[GraphValue]:
    """Of equally frequent values the smallest; its place is the last one it stands at."""
    if not values.shape:
        return [op.Identity(values), op.Constant(value_int=0)]
    rank = len(values.shape)
    axis = dim % rank
    order = [place for place in range(rank) if place != axis] + [axis]
    rows = op.Transpose(values, perm=order)
    same = op.Equal(op.Unsqueeze(rows, [-1]), op.Unsqueeze(rows, [-2]))
    counts = op.ReduceSum(op.Cast(same, to=ir.DataType.INT64), [-1], keepdims=0)
    frequent = op.Equal(counts, op.ReduceMax(counts, [-1], keepdims=1))
    largest = op.ReduceMax(rows, [-1], keepdims=1)
    value = op.ReduceMin(op.Where(frequent, rows, largest), [-1], keepdims=1)
    found = op.Cast(op.Equal(rows, value), to=ir.DataType.INT64)
    place = op.ArgMax(found, axis=-1, keepdims=1, select_last_index=1)
    if not keepdim:
        return [op.Squeeze(value, [-1]), op.Squeeze(place, [-1])]
    back = [order.index(place) for place in range(rank)]
    return [op.Transpose(value, perm=back), op.Transpose(place, perm=back)]


TRANSLATION = Translation(
    functions={"aten::mode": _mode},
    form="counting equal pairs, then the smallest value of the largest count",
    max_error=0.0,
    source="the definition of torch.mode",
    limits="time and memory grow with the axis' length squared; no NaN",
)
