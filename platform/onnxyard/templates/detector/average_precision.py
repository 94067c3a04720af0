"""Mean average precision, as PASCAL VOC 2010 and COCO define it at one threshold of overlap."""

from collections.abc import Mapping, Sequence

import numpy as np


def mean_average_precision(truths: Sequence[np.ndarray], found: Mapping[str, np.ndarray], *, iou: float) -> float:
    """The mean over the classes that occur of the area under precision and recall.

    The best detection of a class comes first; it is right where it overlaps an object of its class by `iou` or more
    that no better detection has taken. Precision is made to fall with recall, and summed over every recall there is.

    Args:
        truths: Per image FLOAT [n, 5]: x1, y1, x2, y2, class.
        found: boxes [images, k, 4], scores [images, k] falling, classes [images, k] with -1 in empty places.
        iou: The least intersection over union.
    """
    most = max((len(each) for each in truths), default=0)
    objects = np.full((len(truths), max(most, 1), 5), -2.0)
    for row, each in enumerate(truths):
        objects[row, : len(each)] = each
    right = _matched(objects, found["boxes"].astype(np.float64), found["classes"], iou)
    kinds, scores = found["classes"].ravel(), found["scores"].ravel()
    order = np.argsort(-scores, kind="stable")
    kinds, right = kinds[order], right.ravel()[order]
    labels = objects[..., 4].ravel()
    areas = [_area(right[kinds == kind], int((labels == kind).sum())) for kind in np.unique(labels[labels >= 0])]
    return float(np.mean(areas))


def _matched(objects: np.ndarray, boxes: np.ndarray, classes: np.ndarray, iou: float) -> np.ndarray:
    """Whether each detection is right, [images, k]; all images at once, one place after the other."""
    free = objects[..., 4] >= 0
    right = np.zeros(classes.shape, dtype=bool)
    rows = np.arange(len(objects))
    for place in range(classes.shape[1]):
        overlap = _overlap(objects[..., :4], boxes[:, place, np.newaxis])
        overlap = np.where(free & (objects[..., 4] == classes[:, place, np.newaxis]), overlap, -1.0)
        best = overlap.argmax(axis=1)
        hit = overlap[rows, best] >= iou
        right[:, place] = hit
        free[rows[hit], best[hit]] = False
    return right


def _overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    inner = (np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])).clip(0).prod(axis=-1)
    union = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1) - inner
    return inner / np.maximum(union, 1e-9)


def _area(right: np.ndarray, objects: int) -> float:
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[right].sum() / objects)
