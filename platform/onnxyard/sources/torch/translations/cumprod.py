"""Running products. Torch 2.13 has no ONNX form for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxscript import ir
from onnxscript import opset18 as op

from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.prefix_scans import prefix_scan

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTEGERS = {ir.DataType.BOOL, ir.DataType.INT8, ir.DataType.UINT8, ir.DataType.INT16, ir.DataType.INT32}


def _cumprod(values: Any, dim: int, *, dtype: int | None = None) -> Any:
    if dtype is not None and dtype != -1:
        widened = op.Cast(values, to=dtype)
    elif values.dtype in _INTEGERS:
        widened = op.Cast(values, to=ir.DataType.INT64)
    else:
        widened = op.Identity(values)
    widened.shape = values.shape
    return prefix_scan([widened], dim, _product)[0]


def _product(earlier: Sequence[Any], later: Sequence[Any]) -> list[Any]:
    return [op.Mul(earlier[0], later[0])]


TRANSLATION = Translation(
    functions={"aten::cumprod": _cumprod},
    form="a prefix scan of Mul",
    max_error=2e-6,
    source="Hillis & Steele, Data Parallel Algorithms, CACM 29, 1986",
    limits="the axis has a fixed length; float16 becomes float32",
)
