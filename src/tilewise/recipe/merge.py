"""Recipes merged, and which of them every key comes from."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from tilewise.errors import RecipeError
from tilewise.recipe.sources import RecipeFile, parse_yaml

Path = tuple[str, ...]

# Each recipe speaks for itself: a child that changes something must not claim its parent's name and results.
_OWN = ("name", "description")


@dataclass(frozen=True)
class MergedRecipe:
    """Plain data of a recipe in the making.

    Attributes:
        data: its keys so far.
        origins: path of a value -> the file, or the `--set`, that gave it.
    """

    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)

    def merge(self, source: RecipeFile) -> None:
        """Merge a recipe into what is there: sections are joined key by key, lists and single values replaced.

        `key: null` drops what was inherited, so that the default holds again. No key whose value may be null has
        another default than null, so this is the same as setting it.
        """
        for name in _OWN:
            self._drop(self.data, (name,))
        self._merge(self.data, source.data, (), source.origin)

    def override(self, setting: str) -> None:
        """Apply `a.b=value`: the value replaces what is there, null drops it.

        Raises:
            RecipeError: it is not of that form, or its value is not YAML.
        """
        key, equals, text = setting.partition("=")
        path = tuple(key.strip().split("."))
        if not equals or not all(path):
            raise RecipeError(
                f"--set {setting!r} is not of the form key.key=value; for example --set tiles.size_px=256"
            )
        if not text.strip():
            raise RecipeError(f"--set {setting!r}: there is no value; {key.strip()}=null goes back to the default")
        section = self.data
        for part in path[:-1]:
            below = section.setdefault(part, {})
            if not isinstance(below, dict):
                raise RecipeError(f"--set {setting!r}: {part!r} holds a value, not keys")
            section = below
        try:
            value = parse_yaml(text)
        except yaml.YAMLError as error:
            raise RecipeError(f"--set {setting!r}: the value is not YAML ({error})") from error
        except RecipeError as error:
            raise RecipeError(f"--set {setting!r}: {error}") from error
        inherited = path[-1] in section
        self._drop(section, path)
        if value is not None or not inherited:
            self._put(section, path, value, f"--set {key.strip()}")

    def _merge(self, section: dict[str, Any], over: Mapping[Any, Any], path: Path, origin: str) -> None:
        for key, value in over.items():
            here = (*path, key)
            below = section.get(key)
            if isinstance(value, Mapping) and isinstance(below, dict):
                self._merge(below, value, here, origin)
                continue
            inherited = key in section
            self._drop(section, here)
            if value is not None or not inherited:
                self._put(section, here, copy.deepcopy(value), origin)

    def _put(self, section: dict[str, Any], path: Path, value: Any, origin: str) -> None:
        section[path[-1]] = value
        for leaf in _leaves(value, path):
            self.origins[leaf] = origin

    def _drop(self, section: dict[str, Any], path: Path) -> None:
        if path[-1] in section:
            del section[path[-1]]
            for leaf in [leaf for leaf in self.origins if leaf[: len(path)] == path]:
                del self.origins[leaf]


def _leaves(value: Any, path: Path) -> list[Path]:
    if isinstance(value, Mapping):
        return [leaf for key, below in value.items() for leaf in _leaves(below, (*path, key))]
    return [path]
