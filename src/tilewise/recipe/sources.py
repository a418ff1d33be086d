"""The files a recipe is made of: its own, and those it extends."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from tilewise.errors import RecipeError

EXTENDS = "extends"
_KEYS = "the keys of the recipe"


@dataclass(frozen=True)
class RecipeFile:
    """One recipe file as it was written.

    Attributes:
        origin: a packaged name, or the path as it was given.
        data: its keys, `extends` left out.
        extends: the recipe that it changes; None where it stands by itself.
        folder: that a path in `extends` starts from; None for a packaged recipe.
    """

    origin: str
    data: dict[str, Any]
    extends: str | None
    folder: Path | None

    @property
    def description(self) -> str:
        """Where it comes from, in its own words."""
        return str(self.data.get("description") or "")


@cache
def packaged_recipes() -> dict[str, str]:
    """Name -> YAML text of every recipe that comes with tilewise.

    Example:
        >>> "component-box-convnext" in tw.api.packaged_recipes()
        True
    """
    return packaged_texts("tilewise", "recipes")


def packaged_texts(package: str, folder: str) -> dict[str, str]:
    """Name -> text of every YAML file in a folder of a package, in the order of names."""
    entries = (resources.files(package) / folder).iterdir()
    files = sorted((entry for entry in entries if entry.name.endswith(".yaml")), key=lambda entry: entry.name)
    return {entry.name.removesuffix(".yaml"): entry.read_text("utf-8") for entry in files}


def read_text(path: Path, name: str, kind: str, packaged: Mapping[str, str]) -> str:
    """The text of a YAML file of a person.

    Args:
        path: of the file.
        name: as it was given.
        kind: `recipe`, `grid` or `space`; the command that lists the packaged ones is its plural.
        packaged: name -> text of those that come with tilewise.

    Raises:
        RecipeError: there is no such file, or it cannot be read.
    """
    if path.suffix not in {".yaml", ".yml"} and not path.is_file():
        raise RecipeError(
            f"no {kind} named {name!r}{did_you_mean(name, packaged)}; `tilewise {kind}s` lists them, or give a YAML "
            "file"
        )
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot read this {kind} ({error}); give a YAML file or a packaged name") from error


def read_sources(source: str | Path | Mapping[str, Any]) -> tuple[RecipeFile, ...]:
    """A recipe's file, and before it those it extends, the one that extends nothing first.

    Raises:
        RecipeError: one of them is not there or not YAML, or they extend each other in a circle.
    """
    if isinstance(source, Mapping):
        sources = [_source(_KEYS, dict(source), Path())]
    elif isinstance(source, str | os.PathLike):
        sources = [_read(str(source), None)]
    else:
        raise RecipeError(f"expected a Recipe, a name, a YAML file or keys as in one, not a {type(source).__name__}")
    places = [_place(sources[0])]
    while sources[-1].extends is not None:
        child = sources[-1]
        try:
            parent = _read(str(child.extends), child.folder)
        except RecipeError as error:
            raise RecipeError(f"{child.origin}: extends: {error}") from error
        if _place(parent) in places:
            circle = " -> ".join(source.origin for source in [*sources, parent])
            raise RecipeError(f"{sources[0].origin}: `extends` runs in a circle ({circle}); take it out of one of them")
        sources.append(parent)
        places.append(_place(parent))
    return tuple(reversed(sources))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The known name most like this one, in brackets; empty where none is."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _read(name: str, folder: Path | None) -> RecipeFile:
    packaged = packaged_recipes()
    if name in packaged:
        return _source(name, _mapping(packaged[name], name), None)
    path = Path(name) if folder is None else folder / Path(name).expanduser()
    text = read_text(path, name, "recipe", packaged)
    return _source(str(path), _mapping(text, str(path)), path.parent)


def _source(origin: str, data: dict[str, Any], folder: Path | None) -> RecipeFile:
    extends = data.pop(EXTENDS, None)
    if extends is not None and not (isinstance(extends, str) and extends):
        raise RecipeError(f"{origin}: extends: give one recipe, its packaged name or its path, not {extends!r}")
    return RecipeFile(origin, data, extends, folder)


def _place(source: RecipeFile) -> str:
    return source.origin if source.folder is None else str(Path(source.origin).resolve())


def parse_yaml(text: str) -> Any:
    """Plain data from YAML.

    Raises:
        yaml.YAMLError: it is not YAML.
        RecipeError: a key stands twice.
    """
    return yaml.load(text, _Keys)  # noqa: S506 - a SafeLoader


class _Keys(yaml.SafeLoader):
    """A key given twice is a fault: YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key in keys:
                raise RecipeError(f"the key {key!r} stands twice (line {key_node.start_mark.line + 1}); keep one")
            if key is not None:
                keys.add(key)
        return super().construct_mapping(node, deep=deep)


def parse_keys(text: str, origin: str, expected: str) -> dict[str, Any]:
    """The keys of a YAML file.

    Args:
        text: of the file.
        origin: of the text, for messages.
        expected: what it is to be, and keys such as it has.

    Raises:
        RecipeError: it is not YAML, a key stands twice, or it holds no keys.
    """
    try:
        data = parse_yaml(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{origin} is not YAML: {error}") from error
    except RecipeError as error:
        raise RecipeError(f"{origin}: {error}") from error
    if not isinstance(data, dict):
        raise RecipeError(f"{origin} is not {expected}")
    return data


def _mapping(text: str, origin: str) -> dict[str, Any]:
    return parse_keys(text, origin, "a recipe: expected keys such as `tiles:` and `encoder:`")
