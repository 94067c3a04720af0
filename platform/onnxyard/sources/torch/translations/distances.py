"""Pairwise distances. Torch 2.13 has no ONNX form for cdist and pdist."""

from __future__ import annotations

import math

import numpy as np
from onnxscript import ir

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.writing import GraphValue, op


def _norm(difference: GraphValue, p: float) -> GraphValue:
    """The p-norm of the last axis."""
    size = op.Abs(difference)
    if p == 0:
        return op.ReduceSum(op.CastLike(op.Greater(size, op.CastLike(0.0, size)), size), [-1], keepdims=0)
    if p == 1:
        return op.ReduceSum(size, [-1], keepdims=0)
    if p == 2:
        return op.Sqrt(op.ReduceSum(op.Mul(difference, difference), [-1], keepdims=0))
    if math.isinf(p):
        return op.ReduceMax(size, [-1], keepdims=0)
    power, root = op.CastLike(p, size), op.CastLike(1 / p, size)
    return op.Pow(op.ReduceSum(op.Pow(size, power), [-1], keepdims=0), root)


def _cdist(one: GraphValue, other: GraphValue, p: float = 2.0, compute_mode: int | None = None) -> GraphValue:  # noqa: ARG001 - how torch is to round
    """[..., P, M] and [..., R, M] to [..., P, R]."""
    return _norm(op.Sub(op.Unsqueeze(one, [-2]), op.Unsqueeze(other, [-3])), p)


def _pdist(rows: GraphValue, p: float = 2.0) -> GraphValue:
    """[N, M] to [N (N - 1) / 2]: the upper triangle of the distances."""
    count = rows.shape[0]
    if not isinstance(count, int):
        raise UnsupportedModelError("pdist needs a fixed number of rows.", remedy="Use torch.cdist.")
    first, second = (op.Constant(value=ir.tensor(side.astype(np.int64))) for side in np.triu_indices(count, 1))
    return _norm(op.Sub(op.Gather(rows, first), op.Gather(rows, second)), p)


TRANSLATION = Translation(
    functions={
        "aten::_cdist_forward": _cdist,
        "aten::cdist": _cdist,
        "aten::_pdist_forward": _pdist,
        "aten::pdist": _pdist,
    },
    form="the norm of the broadcast difference",
    max_error=2e-6,
    source="the definition of torch.cdist",
    limits="memory grows with both numbers of rows times the width; above 25 rows torch itself rounds more coarsely "
    "(by matrix product), so that near-zero distances differ by up to the square root of its rounding; pdist needs a "
    "fixed number of rows",
)
