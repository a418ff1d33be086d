"""Does the tissue's colour lie where haematoxylin and eosin put it?

Light through dye is weakened exponentially, so dyes add up as optical densities (Ruifrok & Johnston, Anal Quant Cytol
Histol 23, 2001). Density divided by its sum over the channels is colour without depth of stain, the plane of van der
Laak et al., Cytometry 39 (2000). On it two dyes span a line: whatever their amounts, tissue lies between eosin, which
takes green, and haematoxylin, which takes red and green about alike. Blue is what both take least.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.histology.cells import Cells

# Summed density below which colour is mostly noise, and the fewest pixels to judge by.
_DEEP_ENOUGH, _FEWEST = 0.45, 200
_HEAVIEST: Final = 2.0
# Margins, in shares of the summed density, that laboratories, lamps and cameras need.
_BLUE_OVER_GREEN, _RED_OVER_GREEN = 0.02, 0.12
_GREY_RANGE: Final = 0.06


@dataclass(frozen=True)
class StainColour:
    """Colour of the stained tissue; shares are of its pixels.

    Attributes:
        green, red, blue: median share of the density that each channel takes.
        off_plane: share whose colour no mixture of haematoxylin and eosin has.
        eosin: by how much green is taken before red in the pinkest tenth of the tissue.
        blueness: by how much green is taken before blue; median. Brown chromogens make it small or negative.
        tint: of the light, 0 where it is white; in tinted light eosin cannot be told.
        grey: share in which all channels are taken alike.
        along, across: spread of colour along its main axis and across it; across is small for two dyes.
    """

    green: float
    red: float
    blue: float
    off_plane: float
    eosin: float
    blueness: float
    tint: float
    grey: float
    along: float
    across: float


def stain_colour(cells: Cells) -> StainColour | None:
    """Judge the colour of cells; None where too few pixels hold dye."""
    smooth = cv2.blur(cells.density, (3, 3))
    depth = smooth.sum(axis=2)
    chosen = cells.used & (depth > _DEEP_ENOUGH)
    if chosen.sum() < _FEWEST:
        chosen = cells.used & (depth > 0)
    if chosen.sum() < _FEWEST:
        return None
    total = depth[chosen]
    red, green, blue = (np.ascontiguousarray(smooth[:, :, k])[chosen] / total for k in range(3))
    off = (blue > green + _BLUE_OVER_GREEN) | (red > green + _RED_OVER_GREEN) | (green < np.minimum(red, blue))
    highest, lowest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    along, across = _spreads(red, green, blue, np.minimum(total, _HEAVIEST))
    return StainColour(
        green=_middle(green),
        red=_middle(red),
        blue=_middle(blue),
        off_plane=_share(off),
        eosin=round(float(np.quantile(green - red, 0.9)), 5),
        blueness=_middle(green - blue),
        tint=round(cells.tint, 4),
        grey=_share(highest - lowest < _GREY_RANGE),
        along=along,
        across=across,
    )


def _spreads(
    red: npt.NDArray[np.float32],
    green: npt.NDArray[np.float32],
    blue: npt.NDArray[np.float32],
    weight: npt.NDArray[np.float32],
) -> tuple[float, float]:
    first, second = (red - green) / np.sqrt(2.0), (2.0 * blue - red - green) / np.sqrt(6.0)
    covariance = np.cov(np.stack([first, second]), aweights=weight)
    smaller, larger = np.sqrt(np.maximum(np.linalg.eigvalsh(covariance), 0.0))
    return round(float(larger), 5), round(float(smaller), 5)


def _middle(values: npt.NDArray[np.float32]) -> float:
    return round(float(np.median(values)), 5)


def _share(region: npt.NDArray[np.bool_]) -> float:
    return round(float(region.mean()), 5)
