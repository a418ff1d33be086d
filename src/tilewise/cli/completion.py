"""What a shell completes: names of recipes, grids, spaces and encoders, and keys of a recipe; imports no torch."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
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
    """Keys of a recipe; of the only key that fits, and behind `=`, its values: those it may have, else its default.

    A shell ends the only candidate with a space, and inserts what several have in common without one. So values are
    offered together with their key.
    """
    from tilewise.recipe import Recipe

    key, equals, value = incomplete.partition("=")
    if equals:
        return [f"{key}={name}" for name in _values(key) if name.startswith(value)]
    keys = [name for name, _ in _keys(Recipe) if name.startswith(key)]
    if len(keys) != 1:
        return [f"{name}=" for name in keys]
    candidates = [f"{keys[0]}={name}" for name in _values(keys[0])]
    return candidates if len(candidates) > 1 else [f"{keys[0]}=", *(candidates or [f"{keys[0]}=null"])]


def complete_in_bash(program: Callable[[], object]) -> None:
    """Print what `program` answers to bash, to which `=` is a word and which replaces only what stands behind it.

    Raises:
        SystemExit: as `program` does.
    """
    words: list[str] = []
    for word in os.environ["COMP_WORDS"].split("\n")[: int(os.environ["COMP_CWORD"]) + 1]:
        is_behind = bool(words) and words[-1].endswith("=") and word != "" and not word.startswith("-")
        if word == "=" or is_behind:
            words[-1] += word
            done = words[-1][: words[-1].rindex("=") + 1]
        else:
            words.append(word)
            done = ""
    os.environ |= {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    if done.startswith("--"):
        done = done.partition("=")[2]
    answer = io.StringIO()
    try:
        with contextlib.redirect_stdout(answer):
            program()
    finally:
        for line in answer.getvalue().splitlines():
            sys.stdout.write(f"{line.removeprefix(done)}\n")


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every key of a recipe, and the section that has it."""
    from pydantic import BaseModel

    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, model


def _values(key: str) -> list[str]:
    """The values that the schema of recipes lists for a key; without such a list, its default."""
    from tilewise.recipe import Recipe, recipe_schema

    if key == "encoder.name":
        return complete_encoder("")
    section = dict(_keys(Recipe)).get(key)
    if section is None:
        return []
    schema = recipe_schema()
    rule = schema["$defs"].get(section.__name__, schema)["properties"][key.rpartition(".")[2]]
    options = rule.get("anyOf", [rule])
    values = [value for option in options for value in option.get("enum", ())]
    values += ("true", "false") if any(option.get("type") == "boolean" for option in options) else ()
    if values or rule.get("default") in (None, ""):
        return values
    return [json.dumps(rule["default"], separators=(",", ":")).replace('"', "")]
