"""One look at a slide's tissue: what tells whether it is stained tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tilewise.auditing.histology.cells import Cells, cut_cells, well_exposed
from tilewise.auditing.histology.detail import Detail, tissue_detail
from tilewise.auditing.histology.stain_plane import StainColour, stain_colour
from tilewise.encoders.texture import texture_features

_TILE_PX, _SMALLEST_TILE_PX, _NUM_TILES = 224, 32, 2


@dataclass(frozen=True)
class HistologyFacts:
    """What of a slide's tissue tells whether it is stained tissue.

    Attributes:
        num_cells: squares of tissue that were looked at; 0 where there is no tissue, and nothing can be told.
        bright_level: grey level that 2 % of the slide exceed in its brightest channel.
        ink: share of their pixels that has the colour of ink.
        colour, detail: None where too few pixels hold dye.
        embedding: mean `texture` vector of tiles in the tissue; empty for pictures below 32 px.
    """

    num_cells: int
    bright_level: float
    ink: float
    colour: StainColour | None
    detail: Detail | None
    embedding: tuple[float, ...]


def measure_histology(rgb: npt.NDArray[np.uint8], tissue: npt.NDArray[np.bool_]) -> HistologyFacts:
    """Look at a slide's tissue; costs about the same whatever the slide's size.

    Args:
        rgb: uint8 (H, W, 3).
        tissue: bool (H, W), `tissue_mask(rgb)`.
    """
    rgb, tissue, level = well_exposed(rgb, tissue)
    cells = cut_cells(rgb, tissue)
    if cells is None:
        return HistologyFacts(0, level, 0.0, None, None, ())
    return HistologyFacts(
        num_cells=cells.num,
        bright_level=level,
        ink=round(cells.ink, 5),
        colour=stain_colour(cells),
        detail=tissue_detail(cells),
        embedding=_embedding(rgb, cells),
    )


def _embedding(rgb: npt.NDArray[np.uint8], cells: Cells) -> tuple[float, ...]:
    height, width = rgb.shape[:2]
    side = min(_TILE_PX, height, width)
    if side < _SMALLEST_TILE_PX:
        return ()
    spread = np.linspace(0, cells.num - 1, min(_NUM_TILES, cells.num) + 2).round().astype(np.int64)[1:-1]
    picked = cells.corners[spread] + (cells.side - side) // 2
    lefts, tops = np.clip(picked[:, 0], 0, width - side), np.clip(picked[:, 1], 0, height - side)
    tiles = np.stack([rgb[y : y + side, x : x + side] for x, y in zip(lefts, tops, strict=True)])
    return tuple(round(float(value), 4) for value in texture_features(tiles).mean(axis=0))
