"""Antialiased interpolation. Torch 2.13 writes `Resize(antialias=1)`, which differs by up to 1.4.

ONNX Runtime's antialiasing places and cuts its filter otherwise than torch does (scale 0.5 already differs, and with
align_corners every scale). The filter is separable and linear, so the exact form is a product with one weight matrix
per axis, written here from sizes that may be dynamic; with fixed ones the exporter folds it to a constant.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from onnxscript import ir

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.writing import GraphValue, op

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def _triangle(distance: GraphValue) -> GraphValue:
    """Keys' linear filter, of support 1."""
    return op.Relu(op.Sub(1.0, distance))


def _cubic(distance: GraphValue) -> GraphValue:
    """Keys' cubic convolution with a = -0.5 (Cubic Convolution Interpolation, IEEE TASSP 29, 1981), of support 2."""
    near = op.Add(op.Mul(op.Mul(op.Sub(op.Mul(distance, 1.5), 2.5), distance), distance), 1.0)
    far = op.Mul(op.Add(op.Mul(op.Sub(op.Mul(op.Sub(distance, 5.0), distance), -8.0), distance), -4.0), -0.5)
    return op.Where(op.Less(distance, 1.0), near, op.Where(op.Less(distance, 2.0), far, 0.0))


def _weights(
    before: GraphValue,
    after: GraphValue,
    scale: GraphValue,
    *,
    filter_of: Callable[[GraphValue], GraphValue],
    support: float,
) -> GraphValue:
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


def _length(size: GraphValue) -> GraphValue:
    return op.Constant(value_int=size) if isinstance(size, int) else op.Squeeze(size)


def _scale(before: GraphValue, after: GraphValue, given: float | None, *, align_corners: bool) -> GraphValue:
    if align_corners:
        longer = op.Cast(op.Sub(before, 1), to=ir.DataType.FLOAT)
        gaps = op.Cast(op.Max(op.Sub(after, 1), op.Constant(value_int=1)), to=ir.DataType.FLOAT)
        return op.Where(op.Greater(after, 1), op.Div(longer, gaps), 0.0)
    if given is not None and given > 0:
        return op.Constant(value_float=1.0 / given)
    return op.Div(op.Cast(before, to=ir.DataType.FLOAT), op.Cast(after, to=ir.DataType.FLOAT))


def _resize(
    image: GraphValue,
    output_size: GraphValue,
    align_corners: bool,
    scales_h: float | None = None,
    scales_w: float | None = None,
    *,
    filter_of: Callable[[GraphValue], GraphValue],
    support: float,
) -> GraphValue:
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


def _resize_vec(
    image: GraphValue,
    output_size: GraphValue,
    align_corners: bool,
    scale_factors: Sequence[float] | None = None,
    *,
    filter_of: Callable[[GraphValue], GraphValue],
    support: float,
) -> GraphValue:
    """The same as F.interpolate asks for it: by size or by scales."""
    if output_size is not None:
        return _resize(image, output_size, align_corners, filter_of=filter_of, support=support)
    scales = tuple(scale_factors or ())
    sizes = []
    for axis, scale in enumerate(scales):
        length = image.shape[axis + 2]
        if isinstance(length, int):
            sizes.append(math.floor(length * scale))
        else:
            exact = op.Cast(op.Shape(image, start=axis + 2, end=axis + 3), to=ir.DataType.DOUBLE)
            factor = op.Constant(value=ir.tensor([scale], dtype=ir.DataType.DOUBLE))
            sizes.append(op.Cast(op.Floor(op.Mul(exact, factor)), to=ir.DataType.INT64))
    return _resize(image, sizes, align_corners, *scales, filter_of=filter_of, support=support)


TRANSLATION = Translation(
    functions={
        "aten::_upsample_bilinear2d_aa.vec": partial(_resize_vec, filter_of=_triangle, support=1.0),
        "aten::_upsample_bicubic2d_aa.vec": partial(_resize_vec, filter_of=_cubic, support=2.0),
        "aten::_upsample_bilinear2d_aa": partial(_resize, filter_of=_triangle, support=1.0),
        "aten::_upsample_bicubic2d_aa": partial(_resize, filter_of=_cubic, support=2.0),
    },
    form="one MatMul per axis with the filter's weights",
    max_error=2e-6,
    source="ATen's UpSampleKernel (separable antialiasing filter); Keys 1981 for the cubic",
    limits="uint8 images are refused (torch rounds them between the axes); of images one pixel wide that stay so, "
    "torch 2.13 itself repeats the first row unless they lie channels last, which parity then tells",
    silent=True,
)
