"""Recipes by name or path, with what they extend and what was overridden."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tilewise.errors import RecipeError
from tilewise.recipe.faults import explain
from tilewise.recipe.merge import MergedRecipe
from tilewise.recipe.recipe import Recipe
from tilewise.recipe.sources import RecipeFile, read_sources

DEFAULT = "default"

_COMMENT_WIDTH = 110


@dataclass(frozen=True)
class ResolvedRecipe:
    """A recipe and where it comes from.

    Attributes:
        recipe: with everything that it inherits.
        sources: its own file first, then what it extends, and so on.
        overrides: `a.b=value`, as they were given.
    """

    recipe: Recipe
    sources: tuple[RecipeFile, ...]
    overrides: tuple[str, ...] = ()

    def to_yaml(self) -> str:
        """The whole recipe with every default filled in, after comments that say where it comes from."""
        lines = []
        for source in self.sources:
            extends = f", which extends {source.extends}" if source.extends else ""
            lines += [f"{source.origin}{extends}", *(f"  {line}" for line in _wrapped(source.description))]
        lines += [f"with --set {override}" for override in self.overrides]
        comments = ("# " + "".join(letter for letter in line if letter.isprintable()) for line in lines)
        return "\n".join([*comments, self.recipe.to_yaml()])


def load_recipe(source: str | Path | Mapping[str, Any] = DEFAULT, overrides: Iterable[str] = ()) -> Recipe:
    """Load a recipe and apply `a.b=value` overrides.

    Args:
        source: the name of a packaged recipe, the path of a YAML file, or the keys that such a file would hold.
        overrides: as `--set` takes them, one string each.

    Raises:
        RecipeError: no such recipe, not YAML, an unknown key, or a value out of bounds; every fault is listed.

    Example:
        >>> tw.load_recipe("default", ["tiles.size_px=256"]).tiles.size_px
        256
        >>> tw.load_recipe({"extends": "default", "name": "large tiles", "tiles": {"size_px": 256}}).tiles.size_px
        256
    """
    return resolve_recipe(source, overrides).recipe


def resolve_recipe(source: str | Path | Mapping[str, Any] = DEFAULT, overrides: Iterable[str] = ()) -> ResolvedRecipe:
    """As `load_recipe`, and say what the recipe extends.

    Raises:
        RecipeError: no such recipe, not YAML, an unknown key, or a value out of bounds; every fault is listed.

    Example:
        >>> resolved = tw.api.resolve_recipe({"extends": "default", "name": "mine"})
        >>> [source.origin for source in resolved.sources]
        ['the keys of the recipe', 'default']
    """
    if isinstance(overrides, str | Mapping):
        raise RecipeError(
            f"overrides: expected strings such as ['tiles.size_px=256'], not {overrides!r}; `Recipe.with_` takes values"
        )
    files, overrides = read_sources(source), tuple(overrides)
    merged = MergedRecipe()
    for file in files:
        merged.merge(file)
    for override in overrides:
        merged.override(override)
    recipe = _validate(merged.data, files[-1].origin, merged.origins)
    return ResolvedRecipe(recipe, tuple(reversed(files)), overrides)


def parse_recipe(data: Mapping[str, Any], origin: str = "recipe") -> Recipe:
    """Validate plain data as a recipe.

    Raises:
        RecipeError: an unknown key or a value out of bounds; every fault is listed.
    """
    return _validate(data, origin, {})


def _validate(data: Mapping[str, Any], origin: str, origins: Mapping[tuple[str, ...], str]) -> Recipe:
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise RecipeError(f"{origin}: {explain(error, origins, Recipe)}") from error


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), _COMMENT_WIDTH)
