"""Tile generators by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

from tilewise.errors import UsageError
from tilewise.training.synthesis.generator import TileGenerator
from tilewise.training.synthesis.texture import TextureGenerator
from tilewise.training_config.synthesis import SynthesisConfig

ENTRY_POINTS = "tilewise.tile_generators"
_OWN = ("none", "texture")

Build = Callable[[SynthesisConfig], TileGenerator]

_REGISTERED: dict[str, Build] = {}


def register_generator(name: str, build: Build) -> None:
    """Make a generator known under a name, for `synthesis.method`.

    An installed package can do so without being imported, by an entry point of the group `tilewise.tile_generators`.

    Raises:
        UsageError: the name is one of ours.
    """
    if name in _OWN:
        raise UsageError(f"the tile generator {name!r} is tilewise's own; register yours under another name")
    _REGISTERED[name] = build


def find_generator(config: SynthesisConfig) -> TileGenerator:
    """The generator that `synthesis.method` names.

    Raises:
        UsageError: there is none of this name, or it is `none`.
    """
    if config.method == "texture":
        return TextureGenerator(config.feather)
    if config.method in _REGISTERED:
        return _REGISTERED[config.method](config)
    installed = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
    if config.method in installed and config.method not in _OWN:
        generator: TileGenerator = installed[config.method].load()(config)
        return generator
    known = ", ".join(sorted({"texture", *_REGISTERED, *installed}))
    raise UsageError(f"synthesis.method={config.method}: no such tile generator; known here: {known}")
