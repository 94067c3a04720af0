"""The detector template: its metric, and that training sees boxes where the graph's letterbox puts them."""

import importlib
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pieces import before, step

TEMPLATE = Path(str(files("onnxyard"))) / "templates" / "detector"
OWN = ("detector", "scenes", "average_precision")


@pytest.fixture(scope="module")
def template():
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(TEMPLATE))
        patched.setattr(sys, "dont_write_bytecode", True)
        yield {name: importlib.import_module(name) for name in OWN}
        for name in OWN:
            sys.modules.pop(name, None)


def overlap(a, b):
    inner = np.clip(np.minimum(a[2:4], b[2:4]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return inner / (np.prod(a[2:4] - a[:2]) + np.prod(b[2:4] - b[:2]) - inner)


def by_hand(truths, found):
    """VOC's average precision in plain Python: detection by detection, over all images of a class."""
    areas = []
    for kind in sorted({int(obj[4]) for each in truths for obj in each}):
        listed = [
            (found["scores"][row, k], row, found["boxes"][row, k])
            for row in range(len(truths))
            for k in range(found["classes"].shape[1])
            if found["classes"][row, k] == kind
        ]
        objects = [[obj for obj in each if obj[4] == kind] for each in truths]
        taken, hits, total = set(), [], sum(map(len, objects))
        for _, row, box in sorted(listed, key=lambda entry: -entry[0]):
            free = [(overlap(box, obj), at) for at, obj in enumerate(objects[row]) if (row, at) not in taken]
            best = max(free, default=(0.0, -1))
            hits.append(best[0] >= 0.5)
            if hits[-1]:
                taken.add((row, best[1]))
        precisions = [sum(hits[: at + 1]) / (at + 1) for at in range(len(hits))]
        areas.append(sum(max(precisions[at:]) for at in range(len(hits)) if hits[at]) / total)
    return float(np.mean(areas))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_average_precision_is_the_one_written_by_hand(template, seed):
    rng = np.random.default_rng(seed)
    images, places = 5, 6
    truths, boxes = [], np.zeros((images, places, 4))
    classes, scores = np.full((images, places), -1), np.zeros((images, places))
    for row in range(images):
        corners = rng.random((rng.integers(1 if row == 0 else 0, 4), 2)) * 60
        kinds = rng.integers(0, 3, (len(corners), 1))
        truths.append(np.concatenate([corners, corners + 20, kinds], axis=1).astype(np.float32))
        for place in range(rng.integers(0, places + 1)):
            near = truths[-1][rng.integers(len(corners))] if len(corners) else np.array([5, 5, 25, 25, 0])
            boxes[row, place] = near[:4] + rng.normal(0, 4, 4)
            classes[row, place] = near[4] if rng.random() < 0.7 else rng.integers(0, 3)
        scores[row] = np.where(classes[row] >= 0, np.sort(rng.random(places))[::-1], 0.0)
    found = {"boxes": boxes, "scores": scores, "classes": classes}
    got = template["average_precision"].mean_average_precision(truths, found, iou=0.5)
    assert got == pytest.approx(by_hand(truths, found), abs=1e-9)


def test_training_sees_boxes_where_the_letterbox_puts_them(template):
    images, objects = template["scenes"].scenes("test", 2, 0)
    resize = step("resize", input="image", size=[320, 320], fit="letterbox")
    scale_y, scale_x, top, left, *_ = before([resize], {"image": images})["image.letterbox"][0]
    for each in objects:
        want = each[:, :4] * [scale_x, scale_y, scale_x, scale_y] + [left, top, left, top]
        np.testing.assert_allclose(template["detector"].letterboxed(each)[:, :4], want, atol=1e-3)


def test_no_digit_is_in_two_splits_and_scenes_repeat(template):
    scenes = template["scenes"]
    parts = [set(range(*scenes.SPLITS[name])) for name in scenes.SPLITS]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 1797
    one, other = scenes.scenes("train", 2, 5), scenes.scenes("train", 2, 5)
    assert np.array_equal(one[0], other[0])
    assert all(np.array_equal(a, b) for a, b in zip(one[1], other[1], strict=True))
