import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxyard.errors import UserCodeError
from pieces import behind, step


def overlap(a, b):
    inner = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return inner / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inner)


def by_hand(boxes, scores, *, iou, score, detections):
    """Greedy, class by class, in plain Python; the kept ones of all classes, the best first."""
    kept = []
    for kind in range(scores.shape[1]):
        standing = []
        for at in np.argsort(-scores[:, kind], kind="stable"):
            if scores[at, kind] > score and all(overlap(boxes[at], boxes[other]) <= iou for other in standing):
                standing.append(at)
        kept += [(scores[at, kind], kind, at) for at in standing]
    best = sorted(kept, key=lambda entry: -entry[0])[:detections]
    made = np.zeros((detections, 4)), np.zeros(detections), np.full(detections, -1)
    for place, (value, kind, at) in enumerate(best):
        made[0][place], made[1][place], made[2][place] = boxes[at], value, kind
    return *made, len(best)


def proposals(rows, count, classes, seed):
    rng = np.random.default_rng(seed)
    corners = rng.random((rows, count, 2)) * 80
    boxes = np.concatenate([corners, corners + 10 + rng.random((rows, count, 2)) * 40], axis=2).astype(np.float32)
    return boxes, rng.random((rows, count, classes)).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 24), st.integers(1, 3), st.integers(0, 2**32 - 1)),
    st.integers(1, 30),
    st.sampled_from([0.2, 0.5, 0.8]),
    st.sampled_from([0.0, 0.3, 0.9]),
)
def test_it_is_the_greedy_suppression_written_by_hand(drawn, detections, iou, score):
    boxes, scores = proposals(*drawn)
    nms = step("nms", input="boxes", detections=detections, iou=iou, score=score)
    got = behind([nms], {"boxes": boxes, "scores": scores})
    assert list(got) == ["boxes", "scores", "classes", "count"]
    for row in range(drawn[0]):
        want = by_hand(boxes[row], scores[row], iou=iou, score=score, detections=detections)
        for name, values in zip(got, want, strict=True):
            np.testing.assert_allclose(got[name][row], values, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("opset", [13, 18, 27])
def test_images_without_objects_stay_rows(opset):
    boxes, scores = proposals(3, 6, 2, 1)
    scores[1] = 0.0
    got = behind([step("nms", input="boxes", detections=4, score=0.0)], {"boxes": boxes, "scores": scores}, opset=opset)
    assert got["count"][1] == 0
    assert (got["count"][[0, 2]] > 0).all()
    assert (got["classes"][1] == -1).all()
    assert not got["boxes"][1].any()


def test_a_detectors_rows_do_not_depend_on_their_neighbours():
    boxes, scores = proposals(4, 20, 3, 2)
    nms = [step("nms", input="boxes", detections=8)]
    whole = behind(nms, {"boxes": boxes, "scores": scores})
    for row in range(4):
        alone = behind(nms, {"boxes": boxes[row : row + 1], "scores": scores[row : row + 1]})
        assert all(np.array_equal(whole[name][row], alone[name][0]) for name in whole)


def test_flat_scores_are_refused():
    with pytest.raises(UserCodeError, match="'scores' is FLOAT"):
        behind(
            [step("nms", input="boxes")],
            {"boxes": np.zeros((1, 2, 4), np.float32), "scores": np.zeros((1, 2), np.float32)},
        )
