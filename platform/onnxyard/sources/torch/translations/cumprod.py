"""Running products. Torch 2.13 has no ONNX form for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxscript import ir

from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.prefix_scans import prefix_scan
from onnxyard.sources.torch.writing import GraphValue, op

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTEGERS = {ir.DataType.BOOL, ir.DataType.INT8, ir.DataType.UINT8, ir.DataType.INT16, ir.DataType.INT32}


def _cumprod(values: GraphValue, dim: int, *, dtype: int | None = None) -> GraphValue:
    kind = ir.DataType.INT64 if values.dtype in _INTEGERS else values.dtype
    widened = op.Cast(values, to=kind if dtype in {None, -1} else dtype)
    return prefix_scan([widened], values.shape, dim, _product)[0]


def _product(earlier: Sequence[GraphValue], later: Sequence[GraphValue]) -> list[GraphValue]:
    return [op.Mul(earlier[0], later[0])]


TRANSLATION = Translation(
    functions={"aten::cumprod": _cumprod},
    form="a prefix scan of Mul",
    max_error=2e-6,
    source="Hillis & Steele, Data Parallel Algorithms, CACM 29, 1986",
    limits="the axis has a fixed length; float16 becomes float32",
)
