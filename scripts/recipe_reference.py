"""Write docs/recipe.md from the config models, so that the reference cannot drift from the code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tilewise.recipe import Recipe

TARGET = Path(__file__).parents[1] / "docs" / "recipe.md"
HEAD = """# Recipe reference

Every key of a recipe, generated from the code by `scripts/recipe_reference.py`. Any of them can be overridden on the
command line: `--set tiles.size_px=256`. `tilewise recipes check FILE` names every unknown key and every bad value.

`extends: NAME`, a packaged recipe or the path of a file from this one's folder, takes over another recipe: sections are
joined key by key, lists and single values replaced, and `key: null` drops what is inherited. `name` and `description`
are never inherited. [systems.md](systems.md) shows the packaged recipes, an example, and a schema for editors.
"""

_NO_ITEMS: list[str] = []


def reference() -> str:
    """The whole page."""
    return HEAD + "".join(_sections(Recipe, ""))


def _sections(model: type[BaseModel], prefix: str, section: BaseModel | None = None) -> Iterator[str]:
    """A model's keys and those below; `section` is what the recipe holds where nothing is said, and its defaults."""
    rows = []
    below = []
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            below.append((field.annotation, key, _default(section, name, field)))
        else:
            rows.append(
                f"| `{key}` | {_allowed(model, field, name)} | {_shown(_default(section, name, field))} | "
                f"{_cell(field.description)} |\n"
            )
    if rows:
        title = prefix.rstrip(".") or "recipe"
        yield f"\n## {title}\n\n| key | values | default | meaning |\n|---|---|---|---|\n" + "".join(rows)
    for inner, key, default in below:
        yield from _sections(inner, key + ".", default)


def _allowed(model: type[BaseModel], field: FieldInfo, name: str) -> str:
    schema = model.model_json_schema(by_alias=True)["properties"][field.alias or name]
    options = schema.get("anyOf", [schema])
    named = [option.get("enum") for option in options]
    return _cell(" or ".join("list of these" if _items(one) in named else _one(one) for one in options))


def _items(schema: dict[str, object]) -> list[str]:
    """What a list may hold, where it is a list of names."""
    items = schema.get("items")
    return items["enum"] if isinstance(items, dict) and "enum" in items else _NO_ITEMS


def _one(schema: dict[str, object]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])  # type: ignore[attr-defined]
    if "const" in schema:
        return f"`{schema['const']}`"
    if _items(schema) != _NO_ITEMS:
        return f"list of {', '.join(f'`{value}`' for value in _items(schema))}"
    text = str(schema.get("type", "object"))
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {schema[key]}" for key, sign in signs.items() if key in schema]
    return f"{text} {', '.join(bounds)}" if bounds else text


def _default(section: BaseModel | None, name: str, field: FieldInfo) -> Any:
    # Of the section as its parent makes it, whose defaults may be others than those of its class.
    return (
        field.get_default(call_default_factory=True, validated_data={}) if section is None else getattr(section, name)
    )


def _shown(value: object) -> str:
    return "required" if value is PydanticUndefined else f"`{json.dumps(value, default=str)}`"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
