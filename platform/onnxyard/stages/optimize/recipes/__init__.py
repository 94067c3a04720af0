"""Recipes: ways to make a candidate from the exported model, one file each.

A recipe reads `source` and writes `model.onnx` into `folder`. It raises `UnsupportedModelError` where it cannot do its
work, or did none: a quantizer that touches no node gives a copy of its input without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from onnxyard.stages.optimize.recipes.fp32 import make_fp32
from onnxyard.stages.optimize.recipes.int8_dynamic import make_int8_dynamic
from onnxyard.stages.optimize.recipes.int8_qdq import make_int8_qdq
from onnxyard.stages.optimize.recipes.model_only import model_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np

    Calibration = Callable[[], Iterator[dict[str, np.ndarray]]]


class Recipe(Protocol):
    """Makes a candidate."""

    def __call__(self, source: Path, folder: Path, calibration: Calibration) -> Path:
        """Write the candidate below `folder` (empty) and return its file.

        Args:
            source: The exported model.
            folder: Where to write `model.onnx`.
            calibration: Gives the calibration split's model inputs in batches, from the beginning at each call.

        Raises:
            UnsupportedModelError: the recipe has nothing to offer for this model.
        """
        ...


BASELINE = "fp32"
RECIPES: dict[str, Recipe] = {
    "fp32": make_fp32,
    "int8-qdq": model_only(make_int8_qdq),
    "int8-dynamic": model_only(make_int8_dynamic),
}
