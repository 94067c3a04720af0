"""Rolling an axis by a length that depends on a dynamic axis, as fftshift does. Torch 2.13 takes fixed numbers only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.writing import GraphValue, op

if TYPE_CHECKING:
    from collections.abc import Sequence


def _roll(values: GraphValue, shifts: Sequence[GraphValue], dims: Sequence[int] = ()) -> GraphValue:
    shifts = shifts if isinstance(shifts, (list, tuple)) else [shifts]
    if not values.shape:
        return op.Identity(values)
    if not dims:
        return op.Reshape(_rolled(op.Reshape(values, [-1]), shifts[0], 0), op.Shape(values))
    rank = len(values.shape)
    for shift, dim in zip(shifts, dims, strict=True):
        values = _rolled(values, shift, dim % rank)
    return values


def _rolled(values: GraphValue, shift: GraphValue, axis: int) -> GraphValue:
    length = op.Shape(values, start=axis, end=axis + 1)
    by = op.Constant(value_ints=[shift]) if isinstance(shift, int) else op.Reshape(shift, [1])
    cut = op.Sub(length, op.Mod(by, op.Max(length, 1)))
    tail = op.Slice(values, cut, length, [axis])
    return op.Concat(tail, op.Slice(values, [0], cut, [axis]), axis=axis)


TRANSLATION = Translation(
    functions={"aten::roll": _roll},
    form="two Slices and a Concat",
    max_error=0.0,
    source="the definition of torch.roll",
)
