"""What installed packages add to tilewise, through entry points.

A plugin's name holds a dot (`acme.median`), so that it never is one of tilewise's own; a recipe names it where it would
name one of these. Nothing of a plugin is imported before a recipe that names it is used, but for the cards that
`tilewise encoders` lists and what `tilewise doctor` tries.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, Final, Literal, get_args

from pydantic_core import PydanticCustomError, PydanticKnownError, core_schema

from tilewise.errors import PluginError
from tilewise.store import digest_file

Group = Literal[
    "tilewise.encoders",
    "tilewise.audit_checks",
    "tilewise.tile_strategies",
    "tilewise.aggregators",
    "tilewise.bag_models",
]
GROUPS: Final[tuple[Group, ...]] = get_args(Group)
# Keys of a recipe that name plugins.
_KEYS: Final[Mapping[str, tuple[Group, ...]]] = {
    "encoder.name": ("tilewise.encoders",),
    "audit.checks": ("tilewise.audit_checks",),
    "tiles.strategy": ("tilewise.tile_strategies",),
    "head.aggregate": ("tilewise.aggregators", "tilewise.bag_models"),
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plugin:
    """An entry point of an installed package.

    Attributes:
        group: what it adds.
        name: how recipes call it.
        package: that brings it.
        version: of the package.
        target: `module:attribute`.
    """

    group: Group
    name: str
    package: str
    version: str
    target: str

    def __str__(self) -> str:
        return f"plugin {self.name} of {self.package} {self.version}"

    def load(self) -> Any:
        """What the entry point leads to.

        Raises:
            PluginError: it cannot be imported; names the package.
        """
        try:
            return metadata.EntryPoint(self.name, self.target, self.group).load()
        except Exception as error:
            raise PluginError(
                f"{self} ({self.group}: {self.target}) cannot be loaded: {type(error).__name__}: {error}; mend, update "
                f"or uninstall {self.package}"
            ) from error

    def record(self) -> dict[str, str]:
        """Name, package, version and a digest of the file that defines it, as JSON data."""
        return {key: value for key, value in asdict(self).items() if key != "target"} | {"digest": self._digest()}

    def _digest(self) -> str:
        """Of the file alone: a change of another file of the package goes with its version."""
        name = self.target.partition(":")[0]
        module = sys.modules.get(name)
        spec = _find_spec(name) if module is None else module.__spec__
        origin = None if spec is None else spec.origin
        return digest_file(Path(origin)) if origin is not None and Path(origin).is_file() else ""


def _find_spec(name: str) -> ModuleSpec | None:
    """Of a module; `importlib.util.find_spec` would import its parents."""
    spec: ModuleSpec | None = None
    path: list[str] | None = None
    parts = name.split(".")
    for num in range(1, len(parts) + 1):
        finders = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]
        specs = (finder.find_spec(".".join(parts[:num]), path) for finder in finders)
        try:
            spec = next((spec for spec in specs if spec is not None), None)
            path = [] if spec is None else list(spec.submodule_search_locations or ())
        except (ImportError, KeyError, ValueError):  # KeyError: a namespace package inside another
            return None
        if spec is None:
            return None
    return spec


def installed_plugins(group: Group) -> Mapping[str, Plugin]:
    """Plugins of a group by name, as packages on `sys.path` declare them; none is imported."""
    return {plugin.name: plugin for plugin in _declared(tuple(sys.path)) if plugin.group == group}


@cache
def _declared(paths: tuple[str, ...]) -> tuple[Plugin, ...]:  # noqa: ARG001 - what a scan depends on
    return tuple(
        Plugin(group, point.name, point.dist.name, point.dist.version, point.value)
        for group in GROUPS
        for point in metadata.entry_points(group=group)
        if point.dist is not None
    )


def find_plugin(group: Group, name: str) -> Plugin:
    """The plugin of this name.

    Raises:
        PluginError: no installed package has it.
    """
    plugin = installed_plugins(group).get(name)
    if plugin is None:
        raise PluginError(f"{name}: {_missing(group)}")
    return plugin


def is_plugin(group: Group, name: str) -> bool:
    """Whether a name that a recipe gives is that of an installed plugin."""
    return "." in name and name in installed_plugins(group)


def plugin_records(recipe: Mapping[str, Any]) -> list[dict[str, str]]:
    """Records of the installed plugins that a recipe names; empty where it names none.

    Args:
        recipe: sections as plain data, all or some.
    """
    return [
        plugin.record()
        for name, groups in sorted(set(_named(recipe)))
        for group in groups
        if (plugin := installed_plugins(group).get(name)) is not None
    ]


def require_plugins(records: Iterable[Mapping[str, str]], what: str) -> None:
    """Hold what is installed to the plugins that something was made with.

    Args:
        records: of the plugins.
        what: was made with them.

    Raises:
        PluginError: one is not installed; names the package and its version.
    """
    for record in records:
        group, name, package, version = (record[key] for key in ("group", "name", "package", "version"))
        plugin = next((one for one in _declared(tuple(sys.path)) if (one.group, one.name) == (group, name)), None)
        if plugin is None:
            raise PluginError(
                f"{what} was made with plugin {name} of {package} {version}, which is not installed; "
                f"pip install '{package}=={version}'"
            )
        if plugin.record() != dict(record):
            _log.warning("%s was made with %s %s (%s); here is %s, or its file has changed", what, package, version,
                         name, plugin)  # fmt: skip


def _named(recipe: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Group, ...]]]:
    rungs = recipe.get("ladder", {}).get("rungs", ())
    for key, groups in _KEYS.items():
        section, field = key.split(".")
        for value in (recipe.get(section, {}).get(field), *(rung["set"].get(key) for rung in rungs)):
            for name in (value,) if isinstance(value, str) else value or ():
                if "." in name:
                    yield name, groups


def _missing(*groups: Group) -> str:
    names = ", ".join(name for group in groups for name in installed_plugins(group)) or "none"
    return f"no installed package adds this name to {' or '.join(groups)}; those installed here: {names}"


class PluginName:
    """Of a pydantic field: one of tilewise's own names, or that of an installed plugin.

    Args:
        own: names that need no plugin.
        groups: of plugins whose names are taken as well.
    """

    def __init__(self, own: tuple[str, ...], *groups: Group) -> None:
        self.own = own
        self.groups = groups

    def names(self) -> list[str]:
        """Names that are taken on this machine."""
        return [*self.own, *(name for group in self.groups for name in installed_plugins(group))]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """Names as strings."""
        return core_schema.no_info_after_validator_function(self._check, core_schema.str_schema())

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        """What an editor offers: on this machine."""
        return {"enum": self.names(), "type": "string"}

    def _check(self, name: str) -> str:
        if name in self.own or any(is_plugin(group, name) for group in self.groups):
            return name
        if "." in name or not self.own:
            raise PydanticCustomError("plugin_missing", "{problem}", {"problem": _missing(*self.groups)})
        *rest, last = map(repr, self.own)
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(rest)} or {last}"})
