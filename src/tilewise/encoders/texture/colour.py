"""Colour statistics: how much of which dye, how evenly, and how the dyes go together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from tilewise.encoders.texture.planes import NUM_LEVELS, Counts, Plane, Planes, Values, histogram

_PERCENTS: Final = (5, 25, 50, 75, 95)
_MEDIAN: Final = _PERCENTS.index(50)
_STATISTICS: Final = ("median", "log_spread", "skew", *(f"p{percent}" for percent in _PERCENTS if percent != 50))
_WHOLE_TILE: Final = ("red", "green", "blue")
_IN_TISSUE: Final = ("hematoxylin", "eosin", "residual", "saturation")
_PAIRS: Final = ("red.green", "red.blue", "green.blue", "hematoxylin.eosin")

NAMES: Final = (
    *(f"colour.{plane}.{statistic}" for plane in (*_WHOLE_TILE, *_IN_TISSUE) for statistic in _STATISTICS),
    *(f"colour.correlation.{pair}" for pair in _PAIRS),
    "colour.fraction.tissue",
)


def colour(tiles: Sequence[Planes]) -> Values:
    """Statistics of red, green, blue over each tile and of the dyes over its tissue; correlations; tissue fraction."""
    statistics = level_statistics(np.concatenate([_histograms(planes) for planes in tiles]))
    others = np.array([[*_correlations(planes), cv2.countNonZero(planes.tissue[2])] for planes in tiles])
    others[:, -1] /= tiles[0].residual.size
    return np.hstack([statistics.reshape(len(tiles), -1), others])


def _histograms(planes: Planes) -> Counts:
    dyes = (planes.hematoxylin[2], planes.eosin[2], planes.residual, planes.saturation)
    whole = [histogram(plane) for plane in planes.rgb]
    return np.stack([*whole, *(histogram(plane, mask=planes.tissue[2]) for plane in dyes)])


def _correlations(planes: Planes) -> list[float]:
    red, green, blue = planes.rgb
    pairs = ((red, green), (red, blue), (green, blue), (planes.hematoxylin[2], planes.eosin[2]))
    return [correlation(*pair) for pair in pairs]


def level_statistics(counts_CL: Counts) -> Values:
    """Median, log spread, skew and four percentiles of C histograms of 256 levels; float64 (C, 7).

    The median is in 0..1. The percentiles are distances to it in standard deviations, so that brighter light moves the
    median alone and stronger stain the median and the spread. An empty histogram gives zeros, a constant nearly so.
    """
    levels = np.arange(NUM_LEVELS, dtype=np.float64)
    totals = np.maximum(counts_CL.sum(axis=1), 1)[:, None].astype(np.float64)
    means = (counts_CL * levels).sum(axis=1, keepdims=True) / totals
    centred = levels - means
    squares = counts_CL * centred * centred
    # One level squared is added to the variance: it damps every ratio where a plane is all but constant.
    spreads = np.sqrt(squares.sum(axis=1, keepdims=True) / totals + 1.0)
    skews = (squares * centred).sum(axis=1, keepdims=True) / totals / (spreads * spreads * spreads)
    percentiles = _percentiles(counts_CL)
    medians = percentiles[:, _MEDIAN : _MEDIAN + 1]
    others = (np.delete(percentiles, _MEDIAN, axis=1) - medians) / spreads
    return np.hstack([medians / (NUM_LEVELS - 1), np.log(spreads), skews, others])


def correlation(first: Plane, second: Plane) -> float:
    """Pearson correlation of two planes, from exact integer sums; 0 where one of them is constant."""
    # OpenCV squares a rounded root; rounding brings the whole number back, and the differences below stay exact.
    squares_x, squares_y = round(cv2.norm(first, cv2.NORM_L2SQR)), round(cv2.norm(second, cv2.NORM_L2SQR))
    products = (squares_x + squares_y - round(cv2.norm(first, second, cv2.NORM_L2SQR))) // 2
    num, sum_x, sum_y = first.size, round(cv2.norm(first, cv2.NORM_L1)), round(cv2.norm(second, cv2.NORM_L1))
    variances = (squares_x * num - sum_x * sum_x) * (squares_y * num - sum_y * sum_y)
    return (products * num - sum_x * sum_y) / math.sqrt(variances) if variances else 0.0


def _percentiles(counts_CL: Counts) -> Values:
    """The percentile levels, interpolated inside a level as if its pixels were spread over it."""
    cumulated = np.cumsum(counts_CL, axis=1)
    totals = cumulated[:, -1:]
    targets = np.array(_PERCENTS) / 100 * totals
    level = np.minimum((cumulated[:, None, :] < targets[:, :, None]).sum(axis=2), NUM_LEVELS - 1)
    above = np.take_along_axis(cumulated, level, axis=1)
    inside = np.take_along_axis(counts_CL, level, axis=1)
    part = (targets - (above - inside)) / np.maximum(inside, 1)
    # A level that holds every pixel is its own percentile, not half a level off.
    levels: Values = np.where(inside == totals, level, np.clip(level - 0.5 + part, 0, NUM_LEVELS - 1))
    return levels
