"""Antialiased interpolation. Torch 2.13 writes `Resize(antialias=1)`, which differs by up to 1.4.

ONNX Runtime's antialiasing places and cuts its filter otherwise than torch does (scale 0.5 already differs, and with
align_corners every scale). The filter is separable and linear, so the exact form is a product with one weight matrix
per axis, written here from sizes that may be dynamic; with fixed ones the exporter folds it to a constant.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from onnxscript import ir
from onnxscript import opset18 as op

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.torch.catalogue import Translation


def _triangle(distance: Any) -> Any:
    """Keys' linear filter, of support 1."""
    return op.Relu(op.Sub(1.0, distance))


def _cubic(distance: Any) -> Any:
    """Keys' cubic convolution with a = -0.5 (Cubic Convolution Interpolation, IEEE TASSP 29, 1981), of support 2."""
    near = op.Add(op.Mul(op.Mul(op.Sub(op.Mul(distance, 1.5), 2.5), distance), distance), 1.0)
    far = op.Mul(op.Add(op.Mul(op.Sub(op.Mul(op.Sub(distance, 5.0), distance), -8.0), distance), -4.0), -0.5)
    return op.Where(op.Less(distance, 1.0), near, op.Where(op.Less(distance, 2.0), far, 0.0))


def _weights(before: Any, after: Any, scale: Any, *, filter_of: Any, support: float) -> Any:
    """The matrix [after, before] of one axis, as ATen's `HelperInterpBase` computes it.

    Args:
        before: The axis' length, int64 scalar.
        after: The length wanted, int64 scalar.
        scale: Lengths before per length after, float scalar.
        filter_of: The filter, of the distance in units of its own.
        support: Half of the filter's width at scale 1.
    """
    stretch = op.Max(scale, 1.0)
    reach = op.Mul(stretch, support)
    places = op.Cast(op.Range(op.Constant(value_int=0), after, op.Constant(value_int=1)), to=ir.DataType.FLOAT)
    centre = op.Unsqueeze(op.Mul(scale, op.Add(places, 0.5)), [1])
    taps = op.Cast(op.Range(op.Constant(value_int=0), before, op.Constant(value_int=1)), to=ir.DataType.FLOAT)
    first = op.Floor(op.Relu(op.Add(op.Sub(centre, reach), 0.5)))
    end = op.Floor(op.Add(op.Add(centre, reach), 0.5))
    inside = op.And(op.GreaterOrEqual(taps, first), op.Less(taps, end))
    distance = op.Abs(op.Div(op.Add(op.Sub(taps, centre), 0.5), stretch))
    weights = op.Where(inside, filter_of(distance), 0.0)
    return op.Div(weights, op.ReduceSum(weights, [1], keepdims=1))


def _length(size: Any) -> Any:
    return op.Constant(value_int=size) if isinstance(size, int) else op.Squeeze(size)


def _scale(before: Any, after: Any, given: float | None, *, align_corners: bool) -> Any:
    if align_corners:
        longer = op.Cast(op.Sub(before, 1), to=ir.DataType.FLOAT)
        gaps = op.Cast(op.Max(op.Sub(after, 1), op.Constant(value_int=1)), to=ir.DataType.FLOAT)
        return op.Where(op.Greater(after, 1), op.Div(longer, gaps), 0.0)
    if given is not None and given > 0:
        return op.Constant(value_float=1.0 / given)
    return op.Div(op.Cast(before, to=ir.DataType.FLOAT), op.Cast(after, to=ir.DataType.FLOAT))


def _resize(
    image: Any,
    output_size: Any,
    align_corners: bool,
    scales_h: float | None = None,
    scales_w: float | None = None,
    *,
    filter_of: Any,
    support: float,
) -> Any:
    """[N, C, H, W] to [N, C, *output_size]."""
    if image.dtype == ir.DataType.UINT8:
        raise UnsupportedModelError("Antialiased interpolation of uint8 rounds between its axes; make it float first.")
    matrices = []
    for axis, given in ((0, scales_h), (1, scales_w)):
        before = op.Squeeze(op.Shape(image, start=axis + 2, end=axis + 3))
        after = _length(output_size[axis])
        scale = _scale(before, after, given, align_corners=align_corners)
        matrices.append(_weights(before, after, scale, filter_of=filter_of, support=support))
    rows, columns = (op.CastLike(matrix, image) for matrix in matrices)
    return op.MatMul(rows, op.MatMul(image, op.Transpose(columns, perm=[1, 0])))


TRANSLATION = Translation(
    functions={
        "aten::_upsample_bilinear2d_aa": partial(_resize, filter_of=_triangle, support=1.0),
        "aten::_upsample_bicubic2d_aa": partial(_resize, filter_of=_cubic, support=2.0),
    },
    form="one MatMul per axis with the filter's weights",
    max_error=2e-6,
    source="ATen's UpSampleKernel (separable antialiasing filter); Keys 1981 for the cubic",
    limits="uint8 images are refused (torch rounds them between the axes)",
    silent=True,
)
