from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from onnxyard.errors import UserCodeError
from onnxyard.processing.composing import back, front
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from pieces import before, behind, specs, step

side = st.integers(2, 40)
few = settings(max_examples=12, deadline=None)


def photo(height, width, seed=0, channels=3):
    """Smooth and rough: noise, enlarged a little."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 2 + 1, width // 2 + 1, channels), dtype=np.uint8)
    return np.repeat(np.repeat(noise, 2, 0), 2, 1)[:height, :width]


def by_pillow(image, size):
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR), dtype=np.float32)


def by_numpy(image, size):
    """Bilinear at half-pixel centres without antialiasing, edges repeated: one axis after the other."""
    values = image.astype(np.float64)
    for axis, new in enumerate(size):
        old = values.shape[axis]
        at = ((np.arange(new) + 0.5) * old / new - 0.5).clip(0, old - 1)
        low = np.floor(at).astype(int)
        share = (at - low).reshape([-1 if a == axis else 1 for a in range(values.ndim)])
        high = np.minimum(low + 1, old - 1)
        values = np.take(values, low, axis) * (1 - share) + np.take(values, high, axis) * share
    return values


@few
@given(side, side, side, side)
def test_antialiased_resize_is_pillows(height, width, new_height, new_width):
    image = photo(height, width)
    resize = step("resize", input="image", size=[new_height, new_width], antialias=True)
    got = before([resize], {"image": image[np.newaxis]}, free=(0, 1, 2))["image"][0]
    # Pillow rounds to whole levels after each axis.
    np.testing.assert_allclose(got, by_pillow(image, (new_height, new_width)), atol=1.01)


@few
@given(side, side, side, side)
def test_plain_resize_is_bilinear(height, width, new_height, new_width):
    image = photo(height, width)
    resize = step("resize", input="image", size=[new_height, new_width])
    got = before([resize], {"image": image[np.newaxis]}, free=(0, 1, 2))["image"][0]
    np.testing.assert_allclose(got, by_numpy(image, (new_height, new_width)), atol=1e-2)


@pytest.mark.parametrize("opset", [13, 17, 18, 20, 27])
@pytest.mark.parametrize("antialias", [False, True])
def test_a_resize_is_the_same_at_every_opset(opset, antialias):
    image = photo(33, 21)
    resize = step("resize", input="image", size=[16, 24], fit="letterbox", antialias=antialias)
    got = before([resize], {"image": image[np.newaxis]}, opset=opset)
    want = before([resize], {"image": image[np.newaxis]})
    np.testing.assert_allclose(got["image"], want["image"], atol=1e-4)


@few
@given(side, side)
def test_a_letterbox_keeps_the_ratio_and_fills_the_rest(height, width):
    image = photo(height, width)
    made = before(
        [step("resize", input="image", size=[32, 48], fit="letterbox")], {"image": image[np.newaxis]}, free=(0, 1, 2)
    )
    ratio = min(32 / height, 48 / width)
    inner = [max(1, int(height * ratio + 0.5)), max(1, int(width * ratio + 0.5))]
    top, left = (32 - inner[0]) // 2, (48 - inner[1]) // 2
    inside = made["image"][0, top : top + inner[0], left : left + inner[1]]
    np.testing.assert_allclose(inside, by_numpy(image, inner), atol=1e-2)
    outside = made["image"].copy()
    outside[0, top : top + inner[0], left : left + inner[1]] = 114
    assert (outside == 114).all()
    geometry = [inner[0] / height, inner[1] / width, top, left, height, width]
    np.testing.assert_allclose(made["image.letterbox"], [geometry], rtol=1e-6)


@few
@given(side, side, st.integers(0, 2**32 - 1))
def test_boxes_come_back_from_the_letterbox(height, width, seed):
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.random((1, 5, 2, 2)) * [width, height], axis=2).reshape(1, 5, 4).astype(np.float32)
    raw = {"image": photo(height, width)[np.newaxis]}
    resize = step("resize", input="image", size=[64, 64], fit="letterbox")
    piece = front([resize], specs(raw, (0, 1, 2)), opset=20, root=Path())
    geometry = OnnxRuntime.load_bytes(piece.model.SerializeToString()).run(raw)["preprocess/image.letterbox"]
    scale_y, scale_x, top, left = geometry[0, :4]
    moved = corners * [scale_x, scale_y, scale_x, scale_y] + [left, top, left, top]
    boxes = {"boxes": moved.astype(np.float32)}
    undo = back(
        [step("unletterbox", input="boxes", image="image")], specs(boxes, (0, 1)), piece.carried, opset=20, root=Path()
    )
    fed = {"model/boxes": boxes["boxes"], "preprocess/image.letterbox": geometry}
    got = OnnxRuntime.load_bytes(undo.SerializeToString()).run(fed)["boxes"]
    np.testing.assert_allclose(got, corners, atol=1e-3)
    fed["model/boxes"] = np.array([[[-50, -50, 500, 500], [0, 0, 0, 0]]], dtype=np.float32)
    edges = OnnxRuntime.load_bytes(undo.SerializeToString()).run(fed)["boxes"]
    np.testing.assert_allclose(edges, [[[0, 0, width, height], [0, 0, 0, 0]]], rtol=1e-6)


def test_normalizing_goes_by_channel_and_turns_the_layout():
    image = photo(5, 6)[np.newaxis]
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
    steps = [
        step("normalize", input="image", scale=1 / 255, mean=mean, std=std),
        step("channels-first", input="image", output="pixels"),
    ]
    got = before(steps, {"image": image})
    want = ((image / 255 - mean) / std).transpose(0, 3, 1, 2)
    assert list(got) == ["pixels"]
    assert got["pixels"].dtype == np.float32
    np.testing.assert_allclose(got["pixels"], want, atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (step("resize", input="picture", size=[4, 4]), "no tensor 'picture'"),
        (step("resize", input="flat", size=[4, 4]), "not images"),
        (step("normalize", input="image", mean=[1.0, 2.0]), "mean has 2 numbers"),
        (step("normalize", input="image", std=[0.0]), "std holds a 0"),
        (step("normalize", input="text"), "not numbers"),
        (step("channels-first", input="flat"), "not images"),
    ],
)
def test_a_step_that_does_not_fit_is_named(wrong, says):
    raw = {"image": photo(4, 4)[np.newaxis], "flat": np.zeros((1, 3), np.float32), "text": np.array(["a"], object)}
    with pytest.raises(UserCodeError, match=says) as caught:
        before([step("normalize", input="flat"), wrong], raw)
    assert caught.value.where == f"[[preprocess]] step 2 ({wrong.step})"


def test_boxes_of_an_image_that_was_not_resized_are_refused():
    boxes = {"boxes": np.zeros((1, 2, 4), np.float32)}
    with pytest.raises(UserCodeError, match="No image 'image' was resized"):
        behind([step("unletterbox", input="boxes", image="image")], boxes)
