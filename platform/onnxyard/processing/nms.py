"""`nms`: the boxes a detector proposes to those that stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from onnxyard.errors import UserCodeError
from onnxyard.processing.flow import Flow
from onnxyard.processing.step import Count, Share, Step, Text

if TYPE_CHECKING:
    from onnxyard.processing.chain import Chain

_FLOAT, _INT64 = 1, 7
_TINY = 2.0**-126
"""The least normal float32."""


class Nms(Step):
    """Non-maximum suppression, class by class: of boxes of one class that overlap, the best stands.

    Takes boxes FLOAT [rows, n, 4] of corners (x1, y1, x2, y2) and scores FLOAT [rows, n, classes], and gives, the best
    first, `boxes` FLOAT [rows, detections, 4], `scores` FLOAT [rows, detections], `classes` INT64 [rows, detections]
    and `count` INT64 [rows]. Places behind an image's `count` hold a box and a score of 0 and the class -1. The names
    of boxes and scores are the inputs'.

    Attributes:
        scores: The tensor of scores.
        classes: What the classes are called.
        count: What the number of detections is called.
        detections: Places per image.
        iou: Intersection over union from which on two boxes are one object.
        score: The least score of a detection.
    """

    step: Literal["nms"]
    scores: Text = "scores"
    classes: Text = "classes"
    count: Text = "count"
    detections: Count = 100
    iou: Share = 0.5
    score: Share = 0.25

    def build(self, chain: Chain) -> None:
        boxes, scores = chain.take(self.input), chain.take(self.scores)
        for name, flow in ((self.input, boxes), (self.scores, scores)):
            if flow.dtype != "FLOAT" or len(flow.shape) != 3:
                raise UserCodeError(f"{name!r} is {flow.dtype} {list(flow.shape)}, not FLOAT [rows, n, ...].")
        rows, places = boxes.shape[0], self.detections
        by_class = chain.op("Transpose", scores.value, perm=[0, 2, 1])
        shape = chain.op("Shape", by_class)  # rows, classes, n
        length = chain.op("Gather", shape, chain.ints(2), axis=0)
        least = max(self.score, _TINY)  # padding is told by its score of 0, so whatever stands is above it
        chosen = chain.op(
            "NonMaxSuppression",
            *(boxes.value, by_class, length),
            *(chain.floats([self.iou]), chain.floats([least])),
        )
        # Scores of what stands, 0 elsewhere: rows stay rows, whatever their number of detections.
        kept = chain.op("GatherND", by_class, chosen)
        zeros = chain.op("ConstantOfShape", shape)
        flat = chain.op("Flatten", chain.op("ScatterND", zeros, chosen, kept), axis=1)
        pads = chain.ints([0, 0, 0, places])
        best, at = chain.ops("TopK", chain.op("Pad", flat, pads), chain.ints([places]), outputs=2, axis=1)
        stands = chain.op("Greater", best, chain.floats(0.0))
        kind = chain.op("Where", stands, chain.op("Div", at, length), chain.ints(-1))
        where = chain.op("Unsqueeze", chain.op("Mod", at, length), chain.ints([2]))
        found = chain.op("GatherND", boxes.value, where, batch_dims=1)
        mask = chain.op("Cast", chain.op("Unsqueeze", stands, chain.ints([2])), to=_FLOAT)
        number = chain.op("ReduceSum", chain.op("Cast", stands, to=_INT64), chain.ints([1]), keepdims=0)
        chain.give(self.input, Flow(chain.op("Mul", found, mask), "FLOAT", (rows, places, 4)))
        chain.give(self.scores, Flow(best, "FLOAT", (rows, places)))
        chain.give(self.classes, Flow(kind, "INT64", (rows, places)))
        chain.give(self.count, Flow(number, "INT64", (rows,)))
