"""How fine detail is spread over tissue, and how it is spread over a drawing.

Tissue has detail everywhere: fibres, chromatin and their overlap make neighbouring pixels differ in every place and at
every scale, so the typical slope of grey level is not far below the mean slope. A drawing, a chart and most of a
photograph are plain areas between edges: nearly all slope lies on few pixels, and the typical slope is that of noise.
The ratio of the two does not change with light, stain or focus, which scale both; it is taken at three scales, since
noise and halftone fill the finest and leave the coarse ones bare.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.histology.cells import Cells

_SCALES_PX: Final = (1.0, 2.0, 4.0)
# Slopes below these (grey levels per px) are rounding; added to the mean so that blank squares do not divide by zero.
_ROUNDING: Final = (0.05, 0.03, 0.02)
# Ink and folds that escaped notice are plain too: the plainest cells of a slide are left out.
_LIVELY_SHARE: Final = 0.6
_FEWEST: Final = 200
_CLIPPED: Final = (2, 253)
_NOISE_KERNEL: Final = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_COLOURS: Final = 8


Plane: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Detail:
    """Detail of the stained tissue in the livelier cells.

    Attributes:
        evenness: median slope over mean slope at 1, 2 and 4 px; tissue 0.5 to 0.95, drawings near 0.
        bands: strength of detail between 0 and 1, 1 and 2, 2 and 4 px, grey levels; median over cells.
        band_evenness: median absolute value over root mean square between 2 and 4 px, 1 for a normal distribution.
        skew: of the same band; negative where dark spots lie on a lighter ground.
        flat: share of pixels whose neighbours differ by at most one level in every channel, clipped levels left out.
        coherence: how straight slopes run within 9 px, weighted by slope; 0 to 1.
        noise: standard deviation of noise, grey levels (Immerkaer, CVIU 64, 1996).
        common: share of the pixels that the eight commonest of 32 x 32 x 32 colours hold.
    """

    evenness: tuple[float, float, float]
    bands: tuple[float, float, float]
    band_evenness: float
    skew: float
    flat: float
    coherence: float
    noise: float
    common: float


def tissue_detail(cells: Cells) -> Detail | None:
    """Judge the detail of cells; None where too few pixels hold dye."""
    if cells.used.sum() < _FEWEST:
        return None
    grey = cv2.cvtColor(cells.rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    blurred = [cv2.GaussianBlur(grey, (0, 0), scale) for scale in _SCALES_PX]
    slopes = [_slope(level) for level in blurred]
    used = _lively(slopes[1][0], cells)
    bands = [finer - coarser for finer, coarser in zip([grey, *blurred], blurred, strict=False)]
    last = bands[2][used]
    second = max(float((last * last).mean()), 1e-6)
    evenness = [_evenness(slope[0][used], rounding) for slope, rounding in zip(slopes, _ROUNDING, strict=True)]
    return Detail(
        evenness=(evenness[0], evenness[1], evenness[2]),
        bands=(_strength(bands[0], used, cells), _strength(bands[1], used, cells), _strength(bands[2], used, cells)),
        band_evenness=round(float(np.median(np.abs(last))) / 0.6745 / second**0.5, 4),
        skew=round(float((last**3).mean()) / second**1.5, 4),
        flat=_flat(cells.rgb, used),
        coherence=_coherence(*slopes[0], used),
        noise=round(float(np.median(np.abs(cv2.filter2D(grey, -1, _NOISE_KERNEL)[used]))) / 6 / 0.6745, 3),
        common=_common(cells.rgb[used]),
    )


def _slope(grey: Plane) -> tuple[Plane, Plane, Plane]:
    """Length, x and y of the gradient, grey levels per px."""
    x, y = (cv2.Sobel(grey, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    return cv2.magnitude(x, y), x, y


def _lively(slope: Plane, cells: Cells) -> npt.NDArray[np.bool_]:
    shape = (cells.num, cells.side, cells.side)
    used = cells.used.reshape(shape)
    counts = used.sum(axis=(1, 2))
    means = np.where(used, slope.reshape(shape), 0.0).sum(axis=(1, 2)) / np.maximum(counts, 1)
    enough = counts >= 0.25 * counts.max()
    least = np.quantile(means[enough], 1.0 - _LIVELY_SHARE)
    lively: npt.NDArray[np.bool_] = (used & (enough & (means >= least))[:, None, None]).reshape(cells.used.shape)
    return lively


def _evenness(slopes: Plane, rounding: float) -> float:
    return round(float(np.median(slopes)) / (float(slopes.mean()) + rounding), 4)


def _strength(band: Plane, used: npt.NDArray[np.bool_], cells: Cells) -> float:
    shape = (cells.num, cells.side, cells.side)
    counts = used.reshape(shape).sum(axis=(1, 2))
    squares = np.where(used, band * band, 0.0).reshape(shape).sum(axis=(1, 2))
    return round(float(np.median(np.sqrt(squares[counts > 0] / counts[counts > 0]))), 3)


def _flat(rgb: npt.NDArray[np.uint8], used: npt.NDArray[np.bool_]) -> float:
    square = np.ones((3, 3), np.uint8)
    highest, lowest = cv2.dilate(rgb, square), cv2.erode(rgb, square)
    spread = cv2.subtract(highest, lowest)[used].max(axis=1)
    clipped = (lowest[used].max(axis=1) <= _CLIPPED[0]) | (highest[used].min(axis=1) >= _CLIPPED[1])
    return round(float(((spread <= 1) & ~clipped).mean()), 5)


def _coherence(
    slope: Plane,
    x: Plane,
    y: Plane,
    used: npt.NDArray[np.bool_],
) -> float:
    xx, yy, xy = (cv2.boxFilter(product, -1, (9, 9)) for product in (x * x, y * y, x * y))
    coherence = cv2.magnitude(xx - yy, 2.0 * xy) / (xx + yy + 1e-4)
    weight = slope[used]
    return round(float((coherence[used] * weight).sum() / (weight.sum() + 1e-4)), 4)


def _common(rgb_N3: npt.NDArray[np.uint8]) -> float:
    levels = (rgb_N3 >> 3).astype(np.int32)
    counts = np.bincount((levels[:, 0] << 10) | (levels[:, 1] << 5) | levels[:, 2], minlength=1 << 15)
    return round(float(np.partition(counts, -_COLOURS)[-_COLOURS:].sum() / max(1, counts.sum())), 5)
