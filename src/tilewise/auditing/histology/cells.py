"""Small squares of tissue, cut at full resolution, that stand for a slide when its pixels are judged.

Their number is bounded, so a section of 9,000 px costs what a biopsy of 1,000 px costs. Nothing is resized before it is
measured: what tells a scan from a drawing lies in its finest detail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.tissue import tissue_mask

_SIDE: Final = 48
"""Of a cell, px; narrower than a needle core and wider than a nucleus at any magnification in use."""
_MARGIN: Final = 8
"""Rim of a cell that filters may look at but that is not counted, px: cells lie side by side in one strip."""
_EDGE: Final = 11
_MAX_CELLS: Final = 56
_SMALLEST_SIDE: Final = 24
_COVERED, _HARDLY_COVERED, _FEW = 0.7, 0.25, 12
# A slide whose brightest parts are darker than this was scanned too dark; it is judged as if it had been exposed well.
DARK_LEVEL: Final = 200
_EXPOSED_LEVEL, _LARGEST_GAIN = 238, 6.0
_BRIGHT_SHARE: Final = 0.98
# Clipped white has lost the colour of the light. Where a small part of a slide is that and all the rest stays below the
# second level, nothing leads up to white as at the rim of clipped glass: the rest alone tells what light there was.
_CLIPPED_WHITE, _LEADS_UP, _MOST_HOLES = 254, 235, 0.25
# Above this mean optical density a pixel holds dye; below lies glass, fat and lumen.
_STAINED: Final = 0.08
_NUM_READ: Final = 60_000
# Inks are saturated where dyes are not: yellow to cyan at all, blue and red only strongly. Hues run from 0 to 180.
_INK_HUES, _INK_SATURATION, _BLUE_INK_HUES, _BLUE_INK_SATURATION, _BLACK = (8, 105), 115, (105, 125), 190, 45
_RED_HUES, _RED_INK_SATURATION = (8, 174), 190
_INKED_CELL, _INK_FREE_CELLS = 0.08, 0.35


@dataclass(frozen=True)
class Cells:
    """Squares of tissue stacked into one strip.

    Attributes:
        rgb: uint8 (num * side, side, 3), exposure put right where the slide is dark.
        density: float32, optical density of each channel against the slide's own glass.
        used: bool (num * side, side), stained tissue away from the cells' rims.
        num, side: how many cells, and their side in px.
        corners: int (num, 2), x and y of each cell on the slide, px.
        tint: difference between the brightest levels of the channels, over 255; 0 in white light.
        ink: share of the tissue in all cells that has the colour of ink; cells with ink are left out of the strip
            unless little else would be left.
    """

    rgb: npt.NDArray[np.uint8]
    density: npt.NDArray[np.float32]
    used: npt.NDArray[np.bool_]
    num: int
    side: int
    corners: npt.NDArray[np.int64]
    tint: float
    ink: float


def well_exposed(
    rgb: npt.NDArray[np.uint8], tissue: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_], float]:
    """The slide and its tissue as they would be in good light, and the brightest level it really has.

    On a dark slide glass passes for tissue; there the tissue is looked for again. All three channels are scaled alike,
    because in a field without glass nobody knows the colour of the light.
    """
    level = float(max(_bright_levels(rgb)))
    if level >= DARK_LEVEL:
        return rgb, tissue, level
    gain = min(_LARGEST_GAIN, _EXPOSED_LEVEL / max(level, 1.0))
    lighter = cv2.LUT(rgb, np.clip(np.arange(256) * gain, 0, 255).astype(np.uint8)).astype(np.uint8)
    return lighter, tissue_mask(lighter), level


def cut_cells(rgb: npt.NDArray[np.uint8], tissue: npt.NDArray[np.bool_], *, most: int = _MAX_CELLS) -> Cells | None:
    """Cut cells of tissue, spread evenly over it; None where the slide shows none.

    Args:
        rgb: uint8 (H, W, 3), from `well_exposed`.
        tissue: bool (H, W).
        most: how many cells to cut at most.
    """
    height, width = tissue.shape
    side = min(_SIDE, height, width)
    if side < _SMALLEST_SIDE or not tissue.any():
        return None
    corners = _corners(tissue, side, most)
    if not len(corners):
        return None
    pixels, inside = _strip(rgb, corners, side), _strip(tissue, corners, side)
    ink = _ink_like(pixels) & inside
    share = float(ink.sum() / max(1, inside.sum()))
    free = ink.reshape(len(corners), -1).mean(axis=1) < _INKED_CELL
    if 3 <= free.sum() < free.size and free.mean() >= _INK_FREE_CELLS:
        rows = np.repeat(free, side)
        pixels, inside, corners = np.ascontiguousarray(pixels[rows]), inside[rows], corners[free]
    bright = _light_levels(rgb)
    rim = np.zeros((len(corners), side, side), dtype=bool)
    rim[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = True
    density = _densities(pixels, bright)
    # The step from tissue to glass is an edge of the slide's making, on drawings and sections alike.
    within = cv2.erode(inside.astype(np.uint8), np.ones((_EDGE, _EDGE), np.uint8)).astype(bool)
    used = within & (density.mean(axis=2) > _STAINED) & rim.reshape(inside.shape)
    tint = (max(bright) - min(bright)) / 255.0
    return Cells(pixels, density, used, len(corners), side, corners, tint, share)


def _corners(tissue: npt.NDArray[np.bool_], side: int, most: int) -> npt.NDArray[np.int64]:
    height, width = tissue.shape
    rows, columns = height // side, width // side
    grid = np.ascontiguousarray(tissue[: rows * side, : columns * side]).view(np.uint8) * np.uint8(255)
    covered = cv2.resize(grid, (columns, rows), interpolation=cv2.INTER_AREA).ravel() / 255.0
    chosen = np.flatnonzero(covered >= _COVERED)
    if chosen.size < _FEW:
        best = np.sort(np.argsort(-covered, kind="stable")[:_FEW])
        chosen = best[covered[best] > _HARDLY_COVERED]
    if chosen.size > most:
        chosen = chosen[np.linspace(0, chosen.size - 1, most).round().astype(np.int64)]
    return np.column_stack([chosen % columns, chosen // columns]).astype(np.int64) * side


def _strip(image: npt.NDArray[Any], corners: npt.NDArray[np.int64], side: int) -> npt.NDArray[Any]:
    return np.concatenate([image[y : y + side, x : x + side] for x, y in corners])


def _ink_like(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    hue, saturation, value = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV))
    ink_like = (saturation > _INK_SATURATION) & (hue > _INK_HUES[0]) & (hue < _INK_HUES[1])
    ink_like |= (saturation > _BLUE_INK_SATURATION) & (hue >= _BLUE_INK_HUES[0]) & (hue < _BLUE_INK_HUES[1])
    ink_like |= (saturation > _RED_INK_SATURATION) & ((hue <= _RED_HUES[0]) | (hue >= _RED_HUES[1]))
    return np.asarray(ink_like | (value < _BLACK), dtype=bool)


def _bright_levels(rgb: npt.NDArray[np.uint8]) -> list[int]:
    """The level that 2 % of the slide's pixels exceed, for each channel; from a grid of pixels on large slides."""
    return _brightest(_sparse(rgb))


def _light_levels(rgb: npt.NDArray[np.uint8]) -> list[int]:
    """As `_bright_levels`, without holes of clipped white in a slide that shows no other white."""
    pixels = _sparse(rgb)
    white = (pixels >= _CLIPPED_WHITE).all(axis=1)
    bright = _brightest(pixels)
    if min(bright) < _CLIPPED_WHITE or white.mean() > _MOST_HOLES:
        return bright
    light = _brightest(pixels[~white])
    return light if max(light) < _LEADS_UP else bright


def _sparse(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    step = max(1, int((rgb.size / 3 / _NUM_READ) ** 0.5))
    return rgb[::step, ::step].reshape(-1, 3)


def _brightest(pixels_N3: npt.NDArray[np.uint8]) -> list[int]:
    counts = [np.cumsum(np.bincount(pixels_N3[:, channel], minlength=256)) for channel in range(3)]
    return [int(np.searchsorted(count, _BRIGHT_SHARE * count[-1])) for count in counts]


def _densities(rgb: npt.NDArray[np.uint8], bright: list[int]) -> npt.NDArray[np.float32]:
    levels = np.arange(256) + 1.0
    glass = np.maximum(bright, DARK_LEVEL)[None, :, None] + 1.0
    table = np.log10(glass / levels[None, None, :]).astype(np.float32)
    return np.dstack([cv2.LUT(np.ascontiguousarray(rgb[:, :, k]), table[0, k]) for k in range(3)])
