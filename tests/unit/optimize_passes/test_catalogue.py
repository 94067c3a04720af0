"""The catalogue: names that a project file may use, and what the search takes for granted of them."""

import re

import pytest

from onnxyard.errors import InvalidRequestError
from onnxyard.project.file import PRECISIONS
from onnxyard.stages.optimize.recipes.catalogue import BASELINE, RECIPES, recipe_named
from onnxyard.stages.optimize.recipes.compiled import COMPILED
from onnxyard.stages.optimize.recipes.external import EXTERNAL
from onnxyard.stages.optimize.recipes.graph import GRAPH
from onnxyard.stages.optimize.recipes.precision import PRECISION


def test_every_recipe_is_there_under_its_own_name():
    every = [*GRAPH, *PRECISION, *COMPILED, *EXTERNAL]
    assert list(RECIPES.values()) == every  # a name that stood twice would hide a recipe
    assert [*RECIPES] == [recipe.name for recipe in every]


def test_the_baseline_comes_first_and_is_the_simplest():
    assert next(iter(RECIPES)) == BASELINE
    assert [recipe.name for recipe in RECIPES.values() if recipe.simplicity == 0] == [BASELINE]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_a_recipe_says_what_the_search_needs(recipe):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", recipe.name)
    assert recipe.title
    assert recipe.precision in PRECISIONS
    assert recipe.runtimes
    assert len({repr(each) for each in recipe.passes}) == len(recipe.passes)


def test_a_name_that_does_not_exist_is_told_with_the_one_that_was_meant():
    with pytest.raises(InvalidRequestError, match=r"There is no recipe 'onxslim'; did you mean 'onnxslim'\?"):
        recipe_named("onxslim")
    assert recipe_named("onnxslim") is RECIPES["onnxslim"]
