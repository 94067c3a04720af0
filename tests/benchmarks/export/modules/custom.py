"""Custom operators, with and without a translation."""

from __future__ import annotations

import torch
from onnxscript import opset18 as op
from torch import nn

from benchmarks.export.case import REFUSED, case, uniform


@torch.library.custom_op("suite::soft_clip", mutates_args=())
def soft_clip(x: torch.Tensor, limit: float) -> torch.Tensor:
    return limit * torch.tanh(x / limit)


@soft_clip.register_fake
def _(x: torch.Tensor, limit: float) -> torch.Tensor:
    return x + 0 * limit


def soft_clip_in_onnx(x, limit):
    return op.Mul(op.Tanh(op.Div(x, limit)), limit)


@torch.library.custom_op("suite::nms", mutates_args=())
def nms(boxes: torch.Tensor, scores: torch.Tensor, threshold: float, most: int) -> torch.Tensor:
    """Per image the places of the boxes that stay, best first, filled up with -1: int64 [batch, most]."""
    kept = torch.full((boxes.shape[0], most), -1, dtype=torch.int64)
    for image in range(boxes.shape[0]):
        left, top, right, bottom = boxes[image].unbind(-1)
        areas = (right - left) * (bottom - top)
        waiting = scores[image].argsort(descending=True, stable=True)
        count = 0
        while len(waiting) and count < most:
            best, waiting = waiting[0], waiting[1:]
            kept[image, count] = best
            count += 1
            width = (right[waiting].minimum(right[best]) - left[waiting].maximum(left[best])).clamp(min=0)
            height = (bottom[waiting].minimum(bottom[best]) - top[waiting].maximum(top[best])).clamp(min=0)
            overlap = width * height
            waiting = waiting[overlap / (areas[waiting] + areas[best] - overlap) <= threshold]
    return kept


@nms.register_fake
def _(boxes: torch.Tensor, scores: torch.Tensor, threshold: float, most: int) -> torch.Tensor:  # noqa: ARG001 - as above
    return boxes.new_empty((boxes.shape[0], most), dtype=torch.int64)


def nms_in_onnx(boxes, scores, threshold, most):
    """NonMaxSuppression gives rows (image, class, box), best first within an image: each goes to its own place."""
    most_ones, zero, one = op.Constant(value_ints=[most]), op.Constant(value_ints=[0]), op.Constant(value_ints=[1])
    chosen = op.NonMaxSuppression(
        boxes, op.Unsqueeze(scores, [1]), most_ones, op.Constant(value_floats=[threshold]), center_point_box=0
    )
    images, places = op.Slice(chosen, [0], [1], [1]), op.Squeeze(op.Slice(chosen, [2], [3], [1]), [1])
    before = op.Cast(op.Equal(images, op.Transpose(images, perm=[1, 0])), to=7)
    turn = op.Sub(op.ReduceSum(op.Trilu(before, upper=0), [1], keepdims=1), one)
    batch = op.Shape(boxes, start=0, end=1)
    empty = op.Expand(op.Constant(value_int=-1), op.Concat(batch, most_ones, axis=0))
    return op.ScatterND(empty, op.Concat(images, turn, axis=1), op.Add(places, zero))


class Clipped(nn.Module):
    def forward(self, x):
        return soft_clip(x, 1.5)  # refused


class Holder(nn.Module):
    def __init__(self):
        super().__init__()
        self.clip = Clipped()

    def forward(self, x):
        return self.clip(x * 2) + 1


case("custom/with-a-translation", x=(5,), translations={"suite::soft_clip": soft_clip_in_onnx})(Holder)
case("custom/without-one", x=(5,), outcome=REFUSED, path="clip", finding="custom-operator")(Holder)


@case(
    "custom/nms",
    corner=uniform(12, 2),
    size=uniform(12, 2),
    scores=uniform(12),
    translations={"suite::nms": nms_in_onnx},
)
class Suppressed(nn.Module):
    def forward(self, corner, size, scores):
        return nms(torch.cat([corner, corner + size.abs()], dim=-1), scores, 0.4, 5)
