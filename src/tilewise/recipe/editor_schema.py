"""A JSON schema of recipes, for editors."""

from __future__ import annotations

from typing import Any

from tilewise.recipe.recipe import Recipe
from tilewise.recipe.sources import EXTENDS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def recipe_schema() -> dict[str, Any]:
    """What a recipe's file may hold: every key with its values, bounds, default and meaning; no other key.

    Rules about keys that have no effect beside others are no part of it, and it lets any key but `name` be null, as in
    a recipe that drops what it inherits; `tilewise recipes check` knows both.

    Example:
        >>> tw.api.recipe_schema()["title"]
        'tilewise recipe'
    """
    schema = Recipe.model_json_schema()
    sections = [schema, *schema["$defs"].values()]
    for section in sections:
        properties = section.get("properties", {})
        for key, rule in properties.items():
            if (section is schema and key == "name") or _allows_null(rule):
                continue
            properties[key] = _or_null(rule)
    schema["properties"] = {EXTENDS: _EXTENDS, **schema["properties"]}
    return {"$schema": _DIALECT, "title": "tilewise recipe"} | schema | {"title": "tilewise recipe"}


_EXTENDS: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "description": "Another recipe that this one changes: a packaged name, or a path from this file's folder. Sections "
    "are joined key by key, lists and single values replaced; `key: null` drops what is inherited.",
}


def _allows_null(rule: dict[str, Any]) -> bool:
    return any(option.get("type") == "null" for option in rule.get("anyOf", ()))


def _or_null(rule: dict[str, Any]) -> dict[str, Any]:
    """The same rule or null; what an editor shows of the key stays on top."""
    labels = {key: value for key, value in rule.items() if key in ("title", "description", "default")}
    rest = {key: value for key, value in rule.items() if key not in labels}
    options = rest.get("anyOf", [rest]) if set(rest) <= {"anyOf"} else [rest]
    return labels | {"anyOf": [*options, {"type": "null"}]}
