"""The tiles that count most and least for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tilewise.auditing.cohort import AuditedSlide
from tilewise.execution import run_each
from tilewise.explain.slide import SlideExplained
from tilewise.reporting.pictures import webp, webp_uri
from tilewise.slides import open_slide
from tilewise.units import Box, Size

_MOST = 6  # tiles of each row, of as many slides
_SIDE, _QUALITY = 112, 80


@dataclass(frozen=True)
class SheetTile:
    """One tile of a sheet.

    Attributes:
        slide: that it is of.
        number: of the tile in its slide, from 0.
        box: where, in level-0 pixels, or in the unit of the page; None where nobody knows.
        value: how much it counts.
        label: the slide's class in the table; None where unknown.
    """

    slide: AuditedSlide
    number: int
    box: Box | None
    value: float
    label: str | None

    @property
    def place(self) -> str:
        """Where it lies, in words."""
        return f"tile {self.number}" if self.box is None else f"at {self.box.x}, {self.box.y}"

    @property
    def has_pixels(self) -> bool:
        """Whether it can be cut from its slide."""
        return self.slide.has_pixels and self.box is not None


@dataclass(frozen=True)
class TileSheet:
    """Tiles of slides that are predicted as one class.

    Attributes:
        class_name: the class.
        measure: what tiles are ordered by.
        most, least: the tiles; one of each slide at most.
    """

    class_name: str
    measure: str
    most: tuple[SheetTile, ...]
    least: tuple[SheetTile, ...]

    @property
    def tiles(self) -> tuple[SheetTile, ...]:
        """Both rows."""
        return (*self.most, *self.least)


def make_sheets(explained: Sequence[SlideExplained], classes: Sequence[str]) -> tuple[TileSheet, ...]:
    """A sheet for each class that is predicted for a slide of more than one tile.

    Tiles are ordered by attention where heads weigh them, times an equal share; else by their probability of the class.
    """
    sheets = []
    for name in classes:
        own = [one for one in explained if one.class_name == name == one.predicted and len(one.values) > 1]
        if not own:
            continue
        attends = all(one.values.attention_T is not None for one in own)
        rows = [_tiles(own, highest=highest, attends=attends) for highest in (True, False)]
        sheets.append(
            TileSheet(name, "attention, times an equal share" if attends else f"probability of {name}", *rows)
        )
    return tuple(sheets)


def _tiles(explained: Sequence[SlideExplained], *, highest: bool, attends: bool) -> tuple[SheetTile, ...]:
    tiles = []
    for one in explained:
        values_T = one.values.probabilities_T
        if attends and one.values.attention_T is not None:
            values_T = one.values.attention_T * len(one.values)
        place = int(values_T.argmax() if highest else values_T.argmin())
        box = Box(*one.values.boxes[place].tolist()) if one.is_placed else None
        tiles.append(SheetTile(one.slide, place, box, float(values_T[place]), one.label))
    return tuple(sorted(tiles, key=lambda tile: tile.value, reverse=highest)[:_MOST])


def cut_pictures(sheets: Sequence[TileSheet], *, workers: int | None) -> Mapping[SheetTile, str]:
    """Tile -> its picture as a `data:` address; not of slides without pixels, or that cannot be read."""
    boxes: dict[str, list[SheetTile]] = {}
    for sheet in sheets:
        for tile in (tile for tile in sheet.tiles if tile.has_pixels):
            boxes.setdefault(tile.slide.slide_id, []).append(tile)
    cut = run_each(
        _cut, {name: tuple(dict.fromkeys(tiles)) for name, tiles in boxes.items()}, stage="tiles", workers=workers
    )
    return {tile: uri for pictures in cut.results.values() for tile, uri in pictures.items()}


def _cut(tiles: tuple[SheetTile, ...]) -> dict[SheetTile, str]:
    with open_slide(tiles[0].slide.slide.path, max_pixels=tiles[0].slide.size.area) as reader:
        pictures = {}
        for tile in tiles:
            assert tile.box is not None
            scale = _SIDE / max(tile.box.width, tile.box.height)
            size = Size(max(1, round(tile.box.width * scale)), max(1, round(tile.box.height * scale)))
            pictures[tile] = webp_uri(webp(np.ascontiguousarray(reader.read_region(tile.box, size=size)), _QUALITY))
    return pictures
