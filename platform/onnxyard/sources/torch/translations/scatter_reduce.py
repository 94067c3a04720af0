"""Scattering with a reduction. Torch 2.13 exports the mean as a mere sum, and has no ONNX form for index_reduce."""

from __future__ import annotations

import numpy as np
from onnxscript import ir

from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.writing import GraphValue, op

_REDUCTIONS = {"sum": "add", "mean": "add", "prod": "mul", "amax": "max", "amin": "min"}


def _scatter_reduce(
    into: GraphValue, dim: int, index: GraphValue, source: GraphValue, reduce: str, *, include_self: bool = True
) -> GraphValue:
    if not into.shape:
        row, places, new = (op.Reshape(one, [1]) for one in (into, index, source))
        return op.Squeeze(_scatter(row, places, new, into.dtype, dim=0, reduce=reduce, include_self=include_self))
    return _scatter(into, index, source, into.dtype, dim=dim, reduce=reduce, include_self=include_self)


def _index_reduce(
    into: GraphValue, dim: int, index: GraphValue, source: GraphValue, reduce: str, *, include_self: bool = True
) -> GraphValue:
    """As scatter_reduce, with one index along the axis for all rows of the source."""
    rank = len(into.shape)
    along = [1] * rank
    along[dim % rank] = -1
    everywhere = op.Expand(op.Reshape(index, op.Constant(value_ints=along)), op.Shape(source))
    everywhere = op.Cast(everywhere, to=ir.DataType.INT64)
    return _scatter(into, everywhere, source, into.dtype, dim=dim, reduce=reduce, include_self=include_self)


def _scatter(
    into: GraphValue,
    index: GraphValue,
    source: GraphValue,
    dtype: ir.DataType,
    *,
    dim: int,
    reduce: str,
    include_self: bool,
) -> GraphValue:
    # Only the part of the source that the index covers takes part.
    origin = op.ConstantOfShape(op.Shape(op.Shape(index)), value=ir.tensor(np.zeros(1, dtype=np.int64)))
    source = op.Slice(source, origin, op.Shape(index))
    if not include_self:
        start = op.CastLike(_neutral(reduce, dtype), into)
        into = op.ScatterElements(into, index, op.Expand(start, op.Shape(index)), axis=dim)
    reduced = op.ScatterElements(into, index, source, axis=dim, reduction=_REDUCTIONS[reduce])
    if reduce != "mean":
        return reduced
    ones = op.Expand(op.CastLike(1, into), op.Shape(index))
    base = op.Expand(op.CastLike(int(include_self), into), op.Shape(into))
    counts = op.ScatterElements(base, index, ones, axis=dim, reduction="add")
    counts = op.Max(counts, op.CastLike(1, into))
    quotient = op.Div(reduced, counts)
    if dtype.is_floating_point():
        return quotient
    # Integers round towards minus infinity, ONNX's Div towards zero.
    rest = op.Sub(reduced, op.Mul(quotient, counts))
    return op.Sub(quotient, op.CastLike(op.Less(rest, op.CastLike(0, into)), into))


def _neutral(reduce: str, dtype: ir.DataType) -> GraphValue:
    if reduce in {"sum", "mean"}:
        return op.Constant(value_int=0)
    if reduce == "prod":
        return op.Constant(value_int=1)
    if not dtype.is_floating_point():
        bounds = np.iinfo(dtype.numpy().name)
        return op.Constant(value_int=int(bounds.min if reduce == "amax" else bounds.max))
    return op.Constant(value_float=-np.inf if reduce == "amax" else np.inf)


TRANSLATION = Translation(
    functions={"aten::scatter_reduce.two": _scatter_reduce, "aten::index_reduce": _index_reduce},
    form="ScatterElements with a reduction, the mean being a sum divided by a count",
    max_error=2e-6,
    source="ONNX ScatterElements, opset 18; the definition of torch.Tensor.scatter_reduce",
    silent=True,
)
