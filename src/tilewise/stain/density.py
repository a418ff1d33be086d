"""Optical density: tables from grey levels, the level of empty glass, and pixels to densities.

Light through dye weakens exponentially, so dyes add up as densities (Ruifrok & Johnston, Anal Quant Cytol Histol 23,
2001): OD = -ln((I + 1) / (glass + 1)), natural logarithm, one grey level added so that black stays finite. A slide's
glass is measured where there is some that is bright, neutral and even; elsewhere 239 is taken in every channel, which
is the I0 = 240 of the common implementations of Macenko's method.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Triple = tuple[float, float, float]

DEFAULT_GLASS: Final[Triple] = (239.0, 239.0, 239.0)
# Pale or fatty tissue is passed over as background and is no glass: it is coloured, uneven, or dim.
_DARKEST, _MOST_COLOUR, _MOST_UNEVEN = 200.0, 20.0, 3.0
_FEWEST, _SMALLEST_SHARE = 500, 0.005
_MARGIN_PX = 9
_SAMPLE: Final = 1 << 15
# Grey levels end at 255; far beyond them the conversion to 8 bits would wrap around.
_BRIGHTEST: Final = 6.0
_LOG_LIGHT: Final = np.log(np.arange(256) + 1.0).astype(np.float32)[None]


def density_table(glass: Triple) -> Floats:
    """Optical density of each grey level and channel; float32 (256, 3), slightly below 0 above the glass."""
    levels = np.arange(256, dtype=np.float64)[:, None]
    table: Floats = -np.log((levels + 1.0) / (np.asarray(glass) + 1.0)).astype(np.float32)
    return table


def clamp(plane: Floats, most: float) -> None:
    """Bring values below 0 to 0 and those above `most` to `most`, in place.

    OpenCV's thresholds do this several times faster than its minimum and maximum with a scalar.
    """
    flat = plane.reshape(1, -1)
    cv2.threshold(flat, most, 0.0, cv2.THRESH_TRUNC, dst=flat)
    cv2.threshold(flat, 0.0, 0.0, cv2.THRESH_TOZERO, dst=flat)


def log_light(strip: Rgb, out: Floats) -> Floats:
    """Logarithm of light, ln(I + 1), of a contiguous strip, written into `out`.

    One table serves all channels, which OpenCV looks up twice as fast as a table of three.
    """
    cv2.LUT(strip.reshape(1, -1), _LOG_LIGHT, dst=out.reshape(1, -1))
    return out


def to_levels(log_light: Floats, out: Rgb) -> None:
    """Grey levels of ln(I + 1), which is overwritten; uint8 into `out`, cut off at 0 and 255."""
    clamp(log_light, _BRIGHTEST)
    cv2.exp(log_light, dst=log_light)
    cv2.convertScaleAbs(log_light, dst=out, alpha=1.0, beta=-1.0)


def densities(rgb: Rgb, glass: Triple) -> Floats:
    """Optical densities of uint8 pixels of shape (..., 3); float32 of the same shape."""
    if not rgb.size:  # OpenCV returns nothing for nothing
        return np.empty(rgb.shape, np.float32)
    flat = np.ascontiguousarray(rgb).reshape(1, -1, 3)
    density: Floats = cv2.LUT(flat, density_table(glass)[None])
    return density.reshape(rgb.shape)


def measure_glass(rgb: Rgb, tissue: npt.NDArray[np.bool_]) -> Triple | None:
    """Median colour of the empty glass beside the tissue, red, green, blue; None where there is none to be sure of.

    Args:
        rgb: uint8 (H, W, 3).
        tissue: bool (H, W); what is not tissue may be glass.
    """
    step = _step(tissue.size)
    # The edge of tissue is half tissue.
    side = max(3, _MARGIN_PX // step) | 1
    near = cv2.dilate(tissue[::step, ::step].astype(np.uint8), np.ones((side, side), np.uint8))
    pixels = rgb[::step, ::step][near == 0]
    if len(pixels) < max(_FEWEST, _SMALLEST_SHARE * near.size):
        return None
    middle = np.median(pixels, axis=0)
    uneven = np.median(np.abs(pixels - middle), axis=0).max()
    if middle.min() < _DARKEST or np.ptp(middle) > _MOST_COLOUR or uneven > _MOST_UNEVEN:
        return None
    red, green, blue = (float(level) for level in middle)
    return red, green, blue


def sample_tissue(rgb: Rgb, tissue: npt.NDArray[np.bool_]) -> Rgb:
    """At most about 2^15 tissue pixels, on an even lattice; uint8 (N, 3)."""
    step = _step(int(cv2.countNonZero(tissue.view(np.uint8))))
    chosen: Rgb = rgb[::step, ::step][tissue[::step, ::step]]
    return chosen


def _step(num: int) -> int:
    step = max(1, int(np.ceil(np.sqrt(num / _SAMPLE))))
    # A multiple of 4 would meet the 8 px blocks of JPEG at one or two places only.
    return step + 1 if step % 4 == 0 else step
