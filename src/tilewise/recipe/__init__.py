"""A recipe: every choice of a run, in one file."""

from __future__ import annotations

from tilewise.recipe.editor_schema import recipe_schema
from tilewise.recipe.load import DEFAULT, ResolvedRecipe, load_recipe, parse_recipe, resolve_recipe
from tilewise.recipe.recipe import Recipe
from tilewise.recipe.sources import packaged_recipes

__all__ = [
    "DEFAULT",
    "Recipe",
    "ResolvedRecipe",
    "load_recipe",
    "packaged_recipes",
    "parse_recipe",
    "recipe_schema",
    "resolve_recipe",
]
