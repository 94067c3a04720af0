"""Every recipe there is, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.errors import InvalidRequestError
from onnxyard.project.agreement import BASELINE
from onnxyard.project.spelling import nearest
from onnxyard.stages.optimize.recipes.compiled import COMPILED
from onnxyard.stages.optimize.recipes.external import EXTERNAL
from onnxyard.stages.optimize.recipes.graph import GRAPH
from onnxyard.stages.optimize.recipes.precision import PRECISION

if TYPE_CHECKING:
    from onnxyard.stages.optimize.recipes.recipe import Recipe

__all__ = ["BASELINE", "RECIPES", "recipe_named"]

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (*GRAPH, *PRECISION, *COMPILED, *EXTERNAL)}
"""The baseline first."""


def recipe_named(name: str) -> Recipe:
    """The recipe of this name. Raises InvalidRequestError where there is none, with the one that was meant."""
    if name not in RECIPES:
        raise InvalidRequestError(
            f"There is no recipe {name!r}{nearest(name, RECIPES)}.", where="onnxyard.toml [optimize] recipes"
        )
    return RECIPES[name]
