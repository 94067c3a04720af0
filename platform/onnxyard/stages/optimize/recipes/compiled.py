"""Recipes that end in another runtime's form: compiled modules, ORT format, contexts of a provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxyard.stages.optimize.recipes.recipe import Recipe

COMPILED: tuple[Recipe, ...] = ()
