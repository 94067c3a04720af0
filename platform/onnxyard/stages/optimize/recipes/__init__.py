"""Recipes: ways to make a candidate from the exported model, one file each.

A recipe reads `source` and writes `model.onnx` into `folder`. It raises `UnsupportedModelError` where it cannot do its
work, or did none: a quantizer that touches no node gives a copy of its input without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.stages.optimize.recipes.fp32 import make_fp32
from onnxyard.stages.optimize.recipes.int8_dynamic import make_int8_dynamic
from onnxyard.stages.optimize.recipes.int8_qdq import make_int8_qdq
from onnxyard.stages.optimize.recipes.model_only import model_only

if TYPE_CHECKING:
    from onnxyard.stages.optimize.recipes.recipe import Recipe

BASELINE = "fp32"
RECIPES: dict[str, Recipe] = {
    "fp32": make_fp32,
    "int8-qdq": model_only(make_int8_qdq),
    "int8-dynamic": model_only(make_int8_dynamic),
}
