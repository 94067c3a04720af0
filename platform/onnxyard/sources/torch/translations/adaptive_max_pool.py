"""Adaptive max pooling to a size that does not divide the image's. Torch 2.13 has no ONNX form for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnxscript import ir

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.writing import GraphValue, op

if TYPE_CHECKING:
    from collections.abc import Sequence


def _windows(length: int, bins: int) -> np.ndarray:
    """The places of each bin, [bins, widest], as ATen cuts them; a narrower one repeats its last place."""
    starts = [step * length // bins for step in range(bins)]
    ends = [-(-(step + 1) * length // bins) for step in range(bins)]
    widest = max(end - start for start, end in zip(starts, ends, strict=True))
    return np.array(
        [[min(start + one, end - 1) for one in range(widest)] for start, end in zip(starts, ends, strict=True)]
    )


def _adaptive_max_pool(image: GraphValue, output_size: Sequence[int]) -> list[GraphValue]:
    """[..., H, W] to [..., *output_size] and the places in H x W that the largest values stand at."""
    height, width = image.shape[-2:]
    if not isinstance(height, int) or not isinstance(width, int):
        raise UnsupportedModelError("Adaptive max pooling needs an image of fixed height and width.")
    rows, columns = _windows(height, output_size[0]), _windows(width, output_size[1])
    # Every bin's places as one list: [H out, W out, rows of a bin, columns of a bin].
    places = rows[:, None, :, None] * width + columns[None, :, None, :]
    bins = (output_size[0], output_size[1], places.shape[2] * places.shape[3])
    rank = len(image.shape)
    kept = op.Shape(image, end=rank - 2)
    flat = op.Reshape(image, op.Concat(kept, op.Constant(value_ints=[height * width]), axis=0))
    order = op.Constant(value=ir.tensor(places.reshape(bins).astype(np.int64)))
    seen = op.Gather(flat, order, axis=rank - 2)
    best = op.ArgMax(seen, axis=-1, keepdims=1)
    everywhere = op.Expand(order, op.Concat(kept, op.Constant(value_ints=bins), axis=0))
    found = op.GatherElements(everywhere, best, axis=-1)
    return [op.ReduceMax(seen, [-1], keepdims=0), op.Squeeze(found, [-1])]


TRANSLATION = Translation(
    functions={"aten::adaptive_max_pool2d": _adaptive_max_pool},
    form="Gather of every bin's values, then ReduceMax and ArgMax",
    max_error=0.0,
    source="ATen's AdaptiveMaxPooling2d",
    limits="the image has a fixed height and width; where it holds NaN, the place may be another one",
)
