"""A grid in, recipes out: all of them checked before anything runs."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tilewise.errors import RecipeError
from tilewise.pipeline.offline import offline_recipe
from tilewise.recipe import DEFAULT, Recipe, load_recipe
from tilewise.sweep.grid import Grid, Settings

# Variants are compared on the same folds and by the same intervals, so that these cannot vary.
_COMMON = ("folds", "evaluation")
_LONGEST_FOLDER = 60


@dataclass(frozen=True)
class Variant:
    """One recipe of a sweep.

    Attributes:
        name: shown in the table.
        recipe: with every default filled in.
        settings: recipe key -> value, as the grid gives them.
        notes: what was changed because the machine lacks it.
        also: names of further rows of the grid whose recipe is the very same; this variant stands for them.
    """

    name: str
    recipe: Recipe
    settings: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    def folder(self, number: int) -> str:
        """Name of its run's folder inside the sweep's."""
        plain = re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-").lower()
        return f"{number:02d}-{plain[:_LONGEST_FOLDER].rstrip('-') or 'variant'}"


def variants_of(grid: Grid, *, offline: bool = False) -> tuple[Variant, ...]:
    """Every variant of a grid, in the order of its rows; rows that come to the same recipe are one variant.

    Args:
        grid: what varies.
        offline: where weights are not on this machine, variants are changed to do without them; their notes say how.
            Variants that differ in such weights alone become one.

    Raises:
        RecipeError: a variant is no valid recipe, two are called alike, or they differ in what they are compared by.
    """
    made = []
    for name, own, settings in _rows(grid):
        base = own or grid.recipe or DEFAULT
        values = [_override(key, value) for key, value in {**grid.set, **settings}.items()]
        try:
            recipe = load_recipe(base, values)
        except RecipeError as error:
            raise RecipeError(f"variant {name!r} of grid {grid.name}: {error}") from error
        if offline:
            recipe, _ = offline_recipe(recipe)
        made.append(Variant(name, recipe, settings, recipe.notes))
    repeated = [name for name, count in Counter(variant.name for variant in made).items() if count > 1]
    if repeated:
        raise RecipeError(f"grid {grid.name} has more than one variant named {repeated[0]!r}; rename one")
    for section, variant in itertools.product(_COMMON, made[1:]):
        if getattr(variant.recipe, section) != getattr(made[0].recipe, section):
            raise RecipeError(
                f"variant {variant.name!r} has other `{section}` than {made[0].name!r}; a sweep compares on the same "
                f"folds, so set them for all variants with `set:` or --set"
            )
    return _merged(made)


def _merged(variants: Sequence[Variant]) -> tuple[Variant, ...]:
    """Variants without those whose recipe an earlier one has; its name, description and notes do not count."""
    merged: dict[str, Variant] = {}
    for variant in variants:
        key = variant.recipe.choices_digest
        first = merged.setdefault(key, variant)
        if first is not variant:
            notes = dict.fromkeys([*first.notes, *variant.notes])
            merged[key] = replace(first, notes=tuple(notes), also=(*first.also, variant.name))
    return tuple(merged.values())


def factor_columns(variants: Sequence[Variant]) -> dict[str, list[Any]]:
    """Recipe key -> its value in each variant, for every key that the grid sets and that is not the same in all."""
    dumped = [variant.recipe.model_dump(mode="json") for variant in variants]
    keys = dict.fromkeys(
        leaf
        for variant in variants
        for key in variant.settings
        for recipe in dumped
        for leaf in _leaves(key, _look_up(recipe, key))
    )
    columns = {key: [_look_up(recipe, key) for recipe in dumped] for key in keys}
    return {key: values for key, values in columns.items() if any(value != values[0] for value in values)}


def _rows(grid: Grid) -> Iterator[tuple[str, str | None, Settings]]:
    levels = [_levels(name, values) for name, values in grid.factors.items()]
    if levels:
        for combination in itertools.product(*levels):
            name = ", ".join(label for label, _ in combination)
            yield name, None, {key: value for _, settings in combination for key, value in settings.items()}
    so_far: Settings = {}
    first = grid.variants[0].recipe if grid.variants else None
    for variant in grid.variants:
        so_far = {**so_far, **variant.set} if grid.cumulative else dict(variant.set)
        yield variant.name, first if grid.cumulative else variant.recipe, so_far


def _levels(name: str, values: list[Any] | dict[str, Settings]) -> list[tuple[str, Settings]]:
    if isinstance(values, dict):
        return [(f"{name} {label}", settings) for label, settings in values.items()]
    return [(f"{name.rpartition('.')[2]} {_spelled(value)}", {name: value}) for value in values]


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _override(key: str, value: Any) -> str:
    return f"{key}={json.dumps(value)}"


def _leaves(key: str, value: Any) -> list[str]:
    if isinstance(value, dict) and value:
        return [leaf for name, below in value.items() for leaf in _leaves(f"{key}.{name}", below)]
    return [key]


def _look_up(recipe: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(recipe, dict) or part not in recipe:
            return None
        recipe = recipe[part]
    return recipe
