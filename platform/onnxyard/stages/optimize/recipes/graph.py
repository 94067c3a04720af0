"""Recipes that rewrite the graph and leave its arithmetic in the precision it was exported in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxyard.stages.optimize.recipes.recipe import Recipe

GRAPH: tuple[Recipe, ...] = ()
