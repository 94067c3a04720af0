"""Running maxima and minima with their places. Torch 2.13 has no ONNX form for them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from onnxscript import ir

from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.prefix_scans import prefix_scan
from onnxyard.sources.torch.writing import GraphValue, op

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FLOATS = {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16}


def _running(
    values: GraphValue, dim: int, *, at_least: Callable[[GraphValue, GraphValue], GraphValue]
) -> list[GraphValue]:
    """The values and int64 places; of equal ones the last, and a NaN beats everything, as in torch."""
    shape = values.shape
    if not shape:
        return [op.Identity(values), op.Constant(value_int=0)]
    axis = dim % len(shape)
    length = op.Squeeze(op.Shape(values, start=axis, end=axis + 1))
    numbers = op.Range(op.Constant(value_int=0), length, op.Constant(value_int=1))
    along = [1] * len(shape)
    along[axis] = -1
    places = op.Expand(op.Reshape(numbers, op.Constant(value_ints=along)), op.Shape(values))
    is_float = values.dtype in _FLOATS

    def later_wins(earlier: Sequence[GraphValue], later: Sequence[GraphValue]) -> list[GraphValue]:
        wins = at_least(later[0], earlier[0])
        if is_float:
            wins = op.Or(wins, op.IsNaN(later[0]))
        return [op.Where(wins, new, old) for old, new in zip(earlier, later, strict=True)]

    return prefix_scan([values, places], shape, axis, later_wins)


TRANSLATION = Translation(
    functions={
        "aten::cummax": partial(_running, at_least=op.GreaterOrEqual),
        "aten::cummin": partial(_running, at_least=op.LessOrEqual),
    },
    form="a prefix scan of Where over value and index",
    max_error=0.0,
    source="Hillis & Steele, Data Parallel Algorithms, CACM 29, 1986",
    limits="the axis has a fixed length",
)
