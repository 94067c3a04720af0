"""Running log-sum-exp. Torch 2.13 shifts a row by its largest value: the far smaller is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.prefix_scans import prefix_scan
from onnxyard.sources.torch.writing import GraphValue, op

if TYPE_CHECKING:
    from collections.abc import Sequence


def _logcumsumexp(values: GraphValue, dim: int) -> GraphValue:
    return prefix_scan([values], values.shape, dim, _log_sum_exp)[0]


def _log_sum_exp(earlier: Sequence[GraphValue], later: Sequence[GraphValue]) -> list[GraphValue]:
    one, other = earlier[0], later[0]
    larger, gap = op.Max(one, other), op.Neg(op.Abs(op.Sub(one, other)))
    # Equal infinities have no difference: the sum is that infinity. A NaN stays one by the sum of both.
    equal = op.Equal(one, other)
    infinite = op.And(equal, op.IsInf(one))
    grown = op.Add(larger, op.Log(op.Add(op.Exp(gap), op.CastLike(1.0, gap))))
    return [op.Where(infinite, one, op.Where(op.IsNaN(gap), op.Add(one, other), grown))]


TRANSLATION = Translation(
    functions={"aten::logcumsumexp": _logcumsumexp},
    form="a prefix scan of max + log(1 + exp(-|difference|))",
    max_error=2e-6,
    source="Hillis & Steele, Data Parallel Algorithms, CACM 29, 1986",
    limits="the axis has a fixed length",
    silent=True,
)
