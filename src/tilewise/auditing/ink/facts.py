"""What is known of the ink on one slide: plain values that go into a JSON file and come back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

from tilewise.units import Box

Colour = Literal["green", "blue", "red", "yellow", "black"]
Kind = Literal["blob", "pen"]


@dataclass(frozen=True)
class InkSpot:
    """One connected spot of ink.

    Attributes:
        colour: what the ink looks like.
        kind: `blob` covers something; `pen` is a thin line, or lies along the slide's border.
        x, y, width, height: box around it in level-0 pixels.
        area_share: share of the slide it covers.
        tissue_share: share of the slide's tissue it covers; what lies under it is carried on from around it.
        mask_share: share of the mask it covers, 0 without a mask.
        on_tissue: whether tissue lies under a part of it worth mentioning.
        confidence: 0 to 1, that this is ink.
    """

    colour: Colour
    kind: Kind
    x: int
    y: int
    width: int
    height: int
    area_share: float
    tissue_share: float
    mask_share: float
    on_tissue: bool
    confidence: float


@dataclass(frozen=True)
class InkFacts:
    """All ink on one slide, largest spot first.

    Attributes:
        spots: the spots.
        area_share: share of the slide under blobs.
        tissue_share: share of its tissue under blobs.
        mask_on_ink: share of the mask that marks ink of any kind, 0 without a mask.
    """

    spots: tuple[InkSpot, ...] = ()
    area_share: float = 0.0
    tissue_share: float = 0.0
    mask_on_ink: float = 0.0

    @property
    def blobs(self) -> tuple[InkSpot, ...]:
        """Spots that are no pen lines."""
        return tuple(spot for spot in self.spots if spot.kind == "blob")

    @property
    def pens(self) -> tuple[InkSpot, ...]:
        """Pen lines and the like."""
        return tuple(spot for spot in self.spots if spot.kind == "pen")

    def moved(self, box: Box, factor: int = 1) -> Self:
        """The same spots on the slide whose overview's box they were found on.

        Args:
            box: the picture, in pixels of the overview.
            factor: level-0 pixels along the side of one of these.
        """
        moved = tuple(
            replace(
                spot,
                x=(spot.x + box.x) * factor,
                y=(spot.y + box.y) * factor,
                width=spot.width * factor,
                height=spot.height * factor,
            )
            for spot in self.spots
        )
        return replace(self, spots=moved)
