"""Recipes of optimizers that run by themselves, in an environment of their own."""

from __future__ import annotations

from onnxyard.stages.optimize.passes.olive import OliveSearch
from onnxyard.stages.optimize.recipes.recipe import Recipe

EXTERNAL: tuple[Recipe, ...] = (
    Recipe(
        "olive",
        "what Olive's own search likes best",
        (OliveSearch(),),
        "int8",  # more often than not
        ("onnxruntime:CPUExecutionProvider",),
        20,
        asked=True,
    ),
)
