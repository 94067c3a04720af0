"""Recipes that change the arithmetic's precision: fp16, bf16, int8, int4, and mixtures of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxyard.stages.optimize.recipes.recipe import Recipe

PRECISION: tuple[Recipe, ...] = ()
