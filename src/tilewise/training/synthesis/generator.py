"""What makes a tile of two others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


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
