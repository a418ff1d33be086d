"""The grey-level planes that every texture feature is computed from.

Frame: the tile's own pixels, rows first. Planes are uint8, so that nearly everything built on them (histograms,
comparisons, morphology) is exact integer arithmetic, whatever the thread or the place in the batch.

Only nuclei are looked for at full size. All else starts at half size: what lies below two pixels is the camera's noise,
focus and JPEG's blocks rather than the tissue, and a head that learns it fails on the next scanner.

Stain separation follows Ruifrok & Johnston, "Quantification of histochemical staining by color deconvolution", Anal
Quant Cytol Histol 23 (2001): one fixed matrix in optical density, so that a tile's vector depends on its pixels alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Plane: TypeAlias = npt.NDArray[np.uint8]
Counts: TypeAlias = npt.NDArray[np.int64]
Values: TypeAlias = npt.NDArray[np.float64]
Pyramid: TypeAlias = Mapping[int, Plane]

NUM_LEVELS: Final = 256
SCALES: Final = (2, 4, 8, 16)
"""How many times smaller than the tile the planes of a pyramid are."""

# Absorption of haematoxylin and eosin in red, green, blue (Ruifrok & Johnston). The third row is their cross product:
# what neither dye explains, such as pigment, pen or another stain.
_STAINS_RGB: Final = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11))
# A plane holds `offset + levels_per_od * density`. The offsets keep the slightly negative densities that a fixed matrix
# gives on other laboratories' dyes; densities of 1.6 (stains) and +-0.5 (residual) reach the end of the scale.
_OFFSETS: Final = (32.0, 32.0, 128.0)
LEVELS_PER_OD: Final = 140.0
STAIN_OFFSET: Final = 32
# Glass is the level that only 2 % of the pixels exceed, but never darker than this; tissue is 15 % darker in some
# channel. Relative, because light is often tinted or dim, and a fixed level calls grey or pink glass tissue; bounded,
# because a tile need not hold glass, and its palest tissue is none.
_BRIGHT_SHARE: Final = 0.98
_DARKEST_GLASS: Final = 200
_TISSUE_BELOW: Final = 0.85


@dataclass(frozen=True, slots=True)
class Planes:
    """One tile taken apart into uint8 planes of shape (H, W) at 1 / 1, 1 / 2, ... 1 / 16 of its size.

    `nuclear` is haematoxylin at full size. Pyramids map a scale (2, 4, 8, 16) to the plane that many times smaller;
    `tissue` is 0 or 1. `rgb`, `residual` and `saturation` are at half size.
    """

    nuclear: Plane
    hematoxylin: Pyramid
    eosin: Pyramid
    grey: Pyramid
    tissue: Pyramid
    rgb: tuple[Plane, Plane, Plane]
    residual: Plane
    saturation: Plane


def separate(tile_HWC: Plane) -> Planes:
    """Take one uint8 RGB tile of shape (H, W, 3), at least 32 px a side, apart into planes."""
    tile = np.ascontiguousarray(tile_HWC)
    small = shrink(tile, 2)
    red, green, blue = cv2.split(small)
    densities = cv2.transform(cv2.LUT(small, _density_table()), _unmixing())
    # Negative levels are cut first because convertScaleAbs would fold them over; it rounds and saturates at 255.
    hematoxylin, eosin, residual = cv2.split(cv2.convertScaleAbs(cv2.max(densities, 0.0)))
    return Planes(
        nuclear=_nuclear(tile),
        hematoxylin=_pyramid(hematoxylin),
        eosin=_pyramid(eosin),
        grey=_pyramid(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)),
        tissue=_pyramid(_tissue((red, green, blue))),
        rgb=(red, green, blue),
        residual=residual,
        saturation=_saturation(red, green, blue),
    )


def histogram(plane: Plane, *, mask: Plane | None = None) -> Counts:
    """How many pixels (under `mask`, where given) have each of the 256 levels; int64 of shape (256,)."""
    counts: npt.NDArray[np.float32] = cv2.calcHist([plane], [0], mask, [NUM_LEVELS], [0, NUM_LEVELS])
    return counts[:, 0].astype(np.int64)


def blur(plane: Plane, size_px: int) -> Plane:
    """Gaussian blur of odd width `size_px`; fixed-point inside OpenCV for uint8, hence exact and symmetric."""
    blurred: Plane = cv2.GaussianBlur(plane, (size_px, size_px), 0)
    return blurred


def shrink(plane: Plane, factor: int) -> Plane:
    """The plane at `1 / factor` of its size, each pixel the mean of what it covers; at least 1 px a side."""
    height, width = plane.shape[:2]
    size = (max(1, width // factor), max(1, height // factor))
    small: Plane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    return small


def spread(plane: Plane, *, mask: Plane) -> float:
    """Standard deviation of the levels under `mask`, damped so that it is at least 1."""
    return float(np.sqrt(cv2.meanStdDev(plane, mask=mask)[1][0, 0] ** 2 + 1.0))


def _pyramid(half: Plane) -> Pyramid:
    levels = [half]
    for _ in SCALES[1:]:
        levels.append(shrink(levels[-1], 2))
    return dict(zip(SCALES, levels, strict=True))


def _nuclear(tile: Plane) -> Plane:
    """Haematoxylin at full size: three tables added up, because the other two stains are not needed there."""
    tables = _density_table()[None, :] * _unmixing()[0, :3, None]
    red, green, blue = (cv2.LUT(channel, table) for channel, table in zip(cv2.split(tile), tables, strict=True))
    levels = cv2.add(cv2.add(red, green), cv2.add(blue, _OFFSETS[0]))
    plane: Plane = cv2.convertScaleAbs(cv2.max(levels, 0.0))
    return plane


def _tissue(channels: tuple[Plane, Plane, Plane]) -> Plane:
    tissue = np.zeros(channels[0].shape, np.uint8)
    for channel in channels:
        cumulated = np.cumsum(histogram(channel))
        glass = max(int(np.searchsorted(cumulated, _BRIGHT_SHARE * cumulated[-1])), _DARKEST_GLASS)
        tissue |= cv2.compare(channel, int(_TISSUE_BELOW * glass), cv2.CMP_LT)
    return tissue & np.uint8(1)


def _saturation(red: Plane, green: Plane, blue: Plane) -> Plane:
    """Largest less smallest channel, over the largest (HSV)."""
    largest, smallest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    saturation: Plane = cv2.divide(cv2.subtract(largest, smallest), largest, scale=255.0)
    return saturation


@cache
def _density_table() -> npt.NDArray[np.float32]:
    levels = np.arange(NUM_LEVELS, dtype=np.float64)
    return (-np.log10((levels + 1) / NUM_LEVELS)).astype(np.float32)


@cache
def _unmixing() -> npt.NDArray[np.float32]:
    """3 x 4: optical densities (and 1) to plane levels, row by row haematoxylin, eosin, residual."""
    stains = np.array(_STAINS_RGB)
    stains /= np.linalg.norm(stains, axis=1, keepdims=True)
    residual = np.cross(stains[0], stains[1])
    mixing = np.vstack([stains, residual / np.linalg.norm(residual)])
    return np.column_stack([LEVELS_PER_OD * np.linalg.inv(mixing).T, _OFFSETS]).astype(np.float32)
