"""What a sweep varies, as a YAML file says it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tilewise.errors import RecipeError
from tilewise.recipe.sources import packaged_texts, parse_yaml, read_text

Settings = dict[str, Any]


class GridVariant(BaseModel):
    """One row of a sweep's table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="Shown in the table.")
    recipe: str | None = Field(None, description="Another recipe to start from, packaged or a YAML file.")
    set: Settings = Field(default_factory=dict, description="Recipe keys and their values, as `tiles.size_px: 256`.")


class Grid(BaseModel):
    """What a sweep varies: every combination of `factors`, then each of `variants`.

    A factor is a recipe key with a list of values, or a name with levels, each of them several keys that belong
    together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="Shown in the table's title.")
    description: str = Field("", description="Where the grid comes from and what it asks.")
    recipe: str | None = Field(None, description="The recipe that is varied, where no other is given.")
    set: Settings = Field(default_factory=dict, description="Keys of every variant.")
    factors: dict[str, list[Any] | dict[str, Settings]] = Field(
        default_factory=dict, description="Recipe key and its values, or a name and its levels."
    )
    variants: list[GridVariant] = Field(default_factory=list, description="Variants given one by one.")
    cumulative: bool = Field(False, description="Each of `variants` keeps the settings of those before it.")

    @model_validator(mode="after")
    def _has_variants(self) -> Self:
        if not self.factors and not self.variants:
            raise ValueError("give `factors` or `variants`")
        for name, levels in self.factors.items():
            if not levels:
                raise ValueError(f"factor {name!r} has no value")
        if self.cumulative and any(variant.recipe for variant in self.variants[1:]):
            raise ValueError("with `cumulative`, only the first of `variants` can name a recipe")
        return self

    def over(self, recipe: str | None, overrides: Sequence[str] = ()) -> Grid:
        """The same over another recipe, and with `a.b=value` for every variant; what varies wins.

        Raises:
            RecipeError: an override has another form.
        """
        settings: Settings = {}
        for override in overrides:
            key, equals, value = override.partition("=")
            if not equals or not key.strip():
                raise RecipeError(f"--set {override!r} is not of the form key.key=value")
            try:
                settings[key.strip()] = parse_yaml(value)
            except yaml.YAMLError as error:
                raise RecipeError(f"--set {override!r}: the value is not YAML ({error})") from error
        return self.model_copy(update={"recipe": recipe or self.recipe, "set": {**self.set, **settings}})


def packaged_grids() -> dict[str, str]:
    """Name -> YAML text of every grid that comes with tilewise."""
    return packaged_texts("tilewise.sweep", "grids")


def load_grid(name_or_path: str | Path) -> Grid:
    """Load a packaged grid by name, or one from a YAML file.

    Raises:
        RecipeError: no such grid, not YAML, an unknown key or a value out of bounds; every fault is listed.
    """
    origin, packaged = str(name_or_path), packaged_grids()
    text = packaged[origin] if origin in packaged else read_text(Path(name_or_path), origin, "grid", packaged)
    try:
        return Grid.model_validate(parse_yaml(text))
    except yaml.YAMLError as error:
        raise RecipeError(f"{origin} is not YAML: {error}") from error
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc'])) or 'grid'}: {fault['msg']}" for fault in error.errors())
        raise RecipeError(f"{origin}: " + "\n  ".join(faults)) from error
