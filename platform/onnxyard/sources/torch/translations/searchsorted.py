"""Places in a sorted sequence. Torch 2.13 has no ONNX form for searchsorted, which isin needs as well."""

from __future__ import annotations

from onnxscript import ir

from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.writing import GraphValue, op


def _searchsorted(
    sorted_sequence: GraphValue,
    values: GraphValue,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: GraphValue = None,
) -> GraphValue:
    """How many of the sequence stand before each value.

    A sequence of one axis serves all values; else its rows serve the values' rows, and may have a batch of their own.
    """
    shared = len(sorted_sequence.shape) == 1 or not isinstance(values, ir.Value)
    if sorter is not None:
        sorted_sequence = op.GatherElements(sorted_sequence, sorter, axis=-1)
    behind = op.Unsqueeze(values, [-1]) if isinstance(values, ir.Value) else op.CastLike(values, sorted_sequence)
    sequence = sorted_sequence if shared else op.Unsqueeze(sorted_sequence, [-2])
    # Written with Not, so that a NaN among the values stands behind everything, as in torch.
    reached = op.Greater(sequence, behind) if right or side == "right" else op.GreaterOrEqual(sequence, behind)
    kind = ir.DataType.INT32 if out_int32 else ir.DataType.INT64
    return op.ReduceSum(op.Cast(op.Not(reached), to=kind), [-1], keepdims=0)


TRANSLATION = Translation(
    functions={"aten::searchsorted.Tensor": _searchsorted, "aten::searchsorted.Scalar": _searchsorted},
    form="counting the elements that are smaller (compare, ReduceSum)",
    max_error=0.0,
    source="the definition of torch.searchsorted",
    limits="time and memory grow with values times sequence",
)
