"""What a shell completes: names of recipes, grids, spaces and encoders, and keys of a recipe; imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel


def complete_recipe(incomplete: str) -> list[str]:
    """Packaged recipes."""
    from tilewise.recipe.sources import packaged_recipes

    return [name for name in packaged_recipes() if name.startswith(incomplete)]


def complete_grid(incomplete: str) -> list[str]:
    """Packaged grids."""
    from tilewise.sweep.grid import packaged_grids

    return [name for name in packaged_grids() if name.startswith(incomplete)]


def complete_space(incomplete: str) -> list[str]:
    """Packaged spaces."""
    from tilewise.tuning.space import packaged_spaces

    return [name for name in packaged_spaces() if name.startswith(incomplete)]


def complete_encoder(incomplete: str) -> list[str]:
    """Encoders of the catalogue and of plugins, of which none is imported."""
    from tilewise.encoders.catalogue import cards
    from tilewise.plugins import installed_plugins

    return [name for name in (*cards(), *installed_plugins("tilewise.encoders")) if name.startswith(incomplete)]


def complete_setting(incomplete: str) -> list[str]:
    """Keys of a recipe; behind `=`, the values of keys that have a few."""
    from tilewise.recipe import Recipe

    key, equals, value = incomplete.partition("=")
    if not equals:
        return [f"{name}=" for name, _ in _keys(Recipe) if name.startswith(key)]
    if key == "encoder.name":
        return [f"{key}={name}" for name in complete_encoder(value)]
    return [f"{key}={name}" for name in _values(key) if name.startswith(value)]


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every key of a recipe, and the section that has it."""
    from pydantic import BaseModel

    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, model


def _values(key: str) -> list[str]:
    """The values that the schema of recipes lists for a key."""
    from tilewise.recipe import Recipe, recipe_schema

    section = dict(_keys(Recipe)).get(key)
    if section is None:
        return []
    schema = recipe_schema()
    rule = schema["$defs"].get(section.__name__, schema)["properties"][key.rpartition(".")[2]]
    options = rule.get("anyOf", [rule])
    values = [value for option in options for value in option.get("enum", ())]
    return [*values, *(("true", "false") if any(option.get("type") == "boolean" for option in options) else ())]
