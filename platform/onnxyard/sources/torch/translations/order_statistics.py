"""The k-th smallest value, medians and stable sorting, with their places. Torch 2.13 has no ONNX form for them."""

from __future__ import annotations

from functools import partial

from onnxscript import ir

from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.writing import GraphValue, op

_FLOATS = {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16}


def _kthvalue(values: GraphValue, k: int, dim: int = -1, keepdim: bool = False) -> list[GraphValue]:
    if not values.shape:
        return [op.Identity(values), op.Constant(value_int=0)]
    return _at_rank(values, op.Constant(value_int=k - 1), dim, keepdim, is_float=values.dtype in _FLOATS)


def _median(values: GraphValue, dim: int = -1, keepdim: bool = False, *, skip_nan: bool) -> list[GraphValue]:
    """The lower one of two middle values; NaN where the row holds one, unless they are skipped."""
    if not values.shape:
        return [op.Identity(values), op.Constant(value_int=0)]
    is_float = values.dtype in _FLOATS
    count = op.Shape(values, start=dim % len(values.shape), end=dim % len(values.shape) + 1)
    if not is_float:
        return _at_rank(values, op.Div(op.Sub(count, 1), 2), dim, keepdim, is_float=False)
    holes = op.Cast(op.IsNaN(values), to=ir.DataType.INT64)
    missing = op.ReduceSum(holes, [dim], keepdims=1)
    last = op.Sub(count, 1)
    if skip_nan:  # NaN sort behind everything, so that the rank is taken among the rest; a row of NaN alone gives NaN
        rank = op.Max(op.Div(op.Sub(op.Sub(count, missing), 1), 2), 0)
        return _at_rank(values, rank, dim, keepdim, is_float=True)
    middle = op.Where(op.Greater(missing, 0), op.Sub(op.Add(last, 1), missing), op.Div(last, 2))
    return _at_rank(values, middle, dim, keepdim, is_float=True)


def _median_of_all(values: GraphValue, *, skip_nan: bool) -> GraphValue:
    flat = op.Reshape(values, [-1])
    flat.shape, flat.dtype = ir.Shape([None]), values.dtype
    return _median(flat, 0, skip_nan=skip_nan)[0]


def _at_rank(values: GraphValue, rank: GraphValue, dim: int, keepdim: bool, *, is_float: bool) -> list[GraphValue]:
    """Value and place at a rank of each row in ascending order.

    Args:
        values: GraphValue shape.
        rank: int64, from 0: one for all rows, or one per row with the axis kept as 1.
        dim: The axis.
        keepdim: Whether the outputs keep it as 1.
        is_float: Whether there may be NaN, which stand behind everything.
    """
    axis = dim % len(values.shape)
    places = _order(values, axis, descending=False, is_float=is_float)
    shape = op.Shape(op.ReduceMax(places, [axis], keepdims=1))
    place = op.GatherElements(places, op.Expand(rank, shape), axis=axis)
    value = op.GatherElements(values, place, axis=axis)
    return [value, place] if keepdim else [op.Squeeze(value, [axis]), op.Squeeze(place, [axis])]


def _order(values: GraphValue, axis: int, *, descending: bool, is_float: bool) -> GraphValue:
    """The places that put each row in order; equal ones keep theirs, and NaN count as the largest."""
    length, largest = op.Shape(values, start=axis, end=axis + 1), int(descending)
    if not is_float:
        return op.TopK(values, length, axis=axis, largest=largest, sorted=1)[1]
    # TopK does not say where NaN go: sorted as infinities first, they are then moved to their end.
    nan = op.IsNaN(values)
    key = op.Where(nan, op.CastLike(float("inf"), values), values)
    _, places = op.TopK(key, length, axis=axis, largest=largest, sorted=1)
    flags = op.GatherElements(op.Cast(nan, to=ir.DataType.INT32), places, axis=axis)
    _, order = op.TopK(flags, length, axis=axis, largest=largest, sorted=1)
    return op.GatherElements(places, order, axis=axis)


def _stable_sort(
    values: GraphValue,
    *,
    stable: bool | None = None,  # noqa: ARG001 - TopK always is: of equal values the lower place comes first
    dim: int = -1,
    descending: bool = False,
) -> list[GraphValue]:
    if not values.shape:
        return [op.Identity(values), op.Constant(value_int=0)]
    axis = dim % len(values.shape)
    places = _order(values, axis, descending=descending, is_float=values.dtype in _FLOATS)
    return [op.GatherElements(values, places, axis=axis), places]


TRANSLATION = Translation(
    functions={
        "aten::sort.stable": _stable_sort,
        "aten::kthvalue": _kthvalue,
        "aten::median.dim": partial(_median, skip_nan=False),
        "aten::median": partial(_median_of_all, skip_nan=False),
        "aten::nanmedian.dim": partial(_median, skip_nan=True),
        "aten::nanmedian": partial(_median_of_all, skip_nan=True),
    },
    form="TopK over the whole axis, then the element at the rank",
    max_error=0.0,
    source="ONNX TopK; the definition of torch.kthvalue and torch.median",
    limits="among equal values the place may be another one than torch's, which promises none",
)
