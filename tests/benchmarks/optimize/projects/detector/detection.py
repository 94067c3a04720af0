"""The template's detector without the steps in its graph, so that torch itself can be timed on the same inputs."""

import numpy as np
from average_precision import mean_average_precision
from detector import HEIGHT, SIDE, WIDTH, letterboxed, model, train
from scenes import scenes

from onnxyard.project.data import Split, Splits
from onnxyard.project.protocols import Config, Targets, Tensors

__all__ = ["data", "metrics", "model", "train"]

ROWS = {"calibration": 64, "validation": 160, "test": 256}
SCORE, OVERLAP, MOST = 0.3, 0.5, 10
"""As in the template's step `nms`."""


def data(config: Config) -> Splits:
    """Letterboxed images FLOAT [rows, 1, SIDE, SIDE] in 0..1; targets in pixels of the raw scene."""
    rows = {"train": config["train_scenes"], **ROWS}
    made = {}
    for seed, (name, count) in enumerate(rows.items()):
        images, objects = scenes(name, count, seed)
        made[name] = Split({"pixels": _pixels(images)}, objects)
    return Splits(**made)


def _pixels(images: np.ndarray) -> np.ndarray:
    """Scaled to the width by nearest neighbours, set in the middle, grey around."""
    height = HEIGHT * SIDE // WIDTH
    rows, columns = np.arange(height) * HEIGHT // height, np.arange(SIDE) * WIDTH // SIDE
    made = np.full((len(images), 1, SIDE, SIDE), 114 / 255, dtype=np.float32)
    top = (SIDE - height) // 2
    made[:, 0, top : top + height] = images[:, rows][:, :, columns, 0] / np.float32(255)
    return made


def metrics(targets: Targets, outputs: Tensors) -> dict[str, float]:
    """Mean average precision at half an overlap, of the boxes that stand."""
    kept = [_suppressed(boxes, scores) for boxes, scores in zip(outputs["boxes"], outputs["scores"], strict=True)]
    found = {name: np.stack([each[at] for each in kept]) for at, name in enumerate(("boxes", "scores", "classes"))}
    return {"map50": mean_average_precision([letterboxed(each) for each in targets], found, iou=0.5)}


def _suppressed(boxes: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best boxes of each class that overlap no better one of it: corners [MOST, 4], scores and classes [MOST]."""
    cells, kinds = np.nonzero(scores > SCORE)
    order = np.argsort(-scores[cells, kinds], kind="stable")[:200]
    cells, kinds = cells[order], kinds[order]
    corners = boxes[cells] + kinds[:, np.newaxis] * 4.0 * SIDE  # classes far apart do not overlap
    area = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
    left = np.ones(len(cells), dtype=bool)
    stands = []
    for at in range(len(cells)):
        if not left[at] or len(stands) == MOST:
            continue
        stands.append(at)
        low, high = np.maximum(corners[at, :2], corners[:, :2]), np.minimum(corners[at, 2:], corners[:, 2:])
        inner = (high - low).clip(min=0).prod(axis=1)
        left &= inner <= OVERLAP * (area[at] + area - inner)
    made = (np.zeros((MOST, 4), np.float32), np.zeros(MOST, np.float32), np.full(MOST, -1))
    for place, at in enumerate(stands):
        made[0][place], made[1][place], made[2][place] = boxes[cells[at]], scores[cells[at], kinds[at]], kinds[at]
    return made
