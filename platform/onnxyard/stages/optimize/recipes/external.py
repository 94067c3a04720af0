"""Recipes of optimizers that run by themselves, in an environment of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxyard.stages.optimize.recipes.recipe import Recipe

EXTERNAL: tuple[Recipe, ...] = ()
