"""What makes a tile of two others, and how further makers are found by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tilewise.errors import UsageError
from tilewise.training.synthesis.config import SynthesisConfig

Pixels = npt.NDArray[np.uint8]

ENTRY_POINTS = "tilewise.tile_generators"
_OWN = ("none", "texture")


@dataclass(frozen=True)
class Example:
    """One tile of a train slide; not to be written to.

    Attributes:
        slide_id: whose tile.
        image_CHW: RGB.
        mask_HW: 255 inside the region.
    """

    slide_id: str
    image_CHW: Pixels
    mask_HW: Pixels


class TileGenerator(Protocol):
    """Makes tiles of a class from pairs of its train tiles.

    One that has learnt from other slides must not have seen those of the validation and test parts, or of the hold-out.
    """

    @property
    def signature(self) -> Mapping[str, Any]:
        """Everything beside pair and random numbers that its tiles follow from; plain data."""

    def make(self, texture: Example, shape: Example, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        """A tile and its mask, of the sizes of `shape`; the same pair and random numbers give the same pixels.

        Args:
            texture: whose region shows what the class looks like.
            shape: of another slide of the class, whose region is to be filled.
            rng: for all that is random.
        """


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
        from tilewise.training.synthesis.texture import TextureGenerator

        return TextureGenerator(config.feather)
    if config.method in _REGISTERED:
        return _REGISTERED[config.method](config)
    installed = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
    if config.method in installed and config.method not in _OWN:
        generator: TileGenerator = installed[config.method].load()(config)
        return generator
    known = ", ".join(sorted({"texture", *_REGISTERED, *installed}))
    raise UsageError(f"synthesis.method={config.method}: no such tile generator; known here: {known}")
