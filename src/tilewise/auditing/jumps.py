"""Brightness or colour that jumps in the middle of a row of blocks and stays so: what an error in a JPEG's data leaves.

A block's mean is coded as the difference from that of the block before. After an error all later blocks are off by
one constant: right of some place against the row of blocks above, and left of it in the next row. No edge of tissue is
like that. It is looked for between the rows of pixels above and below each edge of blocks, in columns of which medians
are taken; columns of glass tell most, those with the edge of tissue nothing.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]

_NUM_COLUMNS: Final = 8
_LEAST_HEIGHT, _LEAST_WIDTH, _MOST_PIXELS = 48, 128, 1024
# Rows of pixels above and below an edge, with the two between them left out: colours are smoothed over it.
_ABOVE, _BELOW, _SIDE = 6, 9, 8
_SMALLEST_JUMP: Final = 8.0
# Neighbouring pixels are alike: a fourth of them counts. Levels below which no median is trusted.
_ALIKE, _LEAST_ERROR = 4, 0.7
_SURE: Final = 4.0


def largest_jump(rgb: npt.NDArray[np.uint8]) -> float:
    """Find the largest jump of brightness or colour that begins in the middle of a row of blocks.

    Args:
        rgb: uint8 (H, W, 3).

    Returns:
        Grey levels, of brightness or of one of the colour differences; 0 where there is none.
    """
    height, width = rgb.shape[:2]
    if height < _LEAST_HEIGHT or width < _LEAST_WIDTH:
        return 0.0
    steps, errors = _steps(rgb)
    # Blocks that are coded together are 8 or 16 px high.
    rows = (slice(None), slice(1, None, 2))
    return max(
        _largest(steps[of], errors[of], column)
        for of in rows
        for column in range(1, _NUM_COLUMNS - 1)
        if len(steps[of]) > 1
    )


def _steps(rgb: npt.NDArray[np.uint8]) -> tuple[Values, Values]:
    """Median difference across each edge by column, and its standard error; float32 (edges, columns, 3)."""
    every = max(1, rgb.shape[1] // _MOST_PIXELS)
    below, above = rgb[_BELOW::_SIDE, ::every], rgb[_ABOVE::_SIDE, ::every]
    num = min(len(below), len(above))
    below, above = (
        cv2.cvtColor(np.ascontiguousarray(part[:num]), cv2.COLOR_RGB2YCrCb).astype(np.float32)
        for part in (below, above)
    )
    medians, errors = [], []
    for column in np.array_split(below - above, _NUM_COLUMNS, axis=1):
        median = np.median(column, axis=1)
        spread = 1.4826 * np.median(np.abs(column - median[:, np.newaxis]), axis=1)
        medians.append(median)
        # A median is 1.25 times as uncertain as a mean.
        errors.append(np.maximum(_LEAST_ERROR, 1.25 * spread / np.sqrt(column.shape[1] / _ALIKE)))
    return np.stack(medians, axis=1), np.stack(errors, axis=1)


def _largest(steps: Values, errors: Values, column: int) -> float:
    """The largest jump that begins in this column of an edge and goes on left of it across the next edge."""
    first, second = (_parts(values, column) for values in (steps, errors))
    (jumped, rest), (jumped_error, rest_error) = first, second
    jump = _weighted_median(jumped, 1 / jumped_error**2)[:, np.newaxis]
    size = np.abs(jump)
    sure, rest_sure = _SURE * jumped_error <= size, _SURE * rest_error <= size
    # Clipped white hides a part of a jump, so that one in tissue may be larger than the one in glass.
    fits = sure & (jumped * np.sign(jump) >= size - np.maximum(np.maximum(2.0, size / 4), 2.5 * jumped_error))
    flat = rest_sure & (np.abs(rest) <= np.maximum(np.maximum(1.5, size / 4), 2.5 * rest_error))
    is_jump = size[:, 0] >= _SMALLEST_JUMP
    for part in (slice(0, column), slice(column, None)):
        is_jump &= fits[:, part].any(axis=1) & flat[:, part].any(axis=1)
    num_fits, num_flat = fits.sum(axis=1), flat.sum(axis=1)
    is_jump &= (num_fits >= 2) & (num_flat >= 2) & (num_fits + num_flat >= 5)
    is_jump &= (num_fits >= 0.8 * sure.sum(axis=1)) & (num_flat >= 0.8 * rest_sure.sum(axis=1))
    return float(np.max(size[:, 0], where=is_jump, initial=0.0))


def _parts(values: Values, column: int) -> tuple[Values, Values]:
    """What the jump concerns of an edge and the next, and what it does not: left part, then right part."""
    upper, lower = values[:-1], values[1:]
    jumped = np.concatenate([lower[:, :column], upper[:, column + 1 :]], axis=1)
    rest = np.concatenate([upper[:, :column], lower[:, column + 1 :]], axis=1)
    return tuple(np.moveaxis(part, 1, 2).reshape(-1, _NUM_COLUMNS - 1) for part in (jumped, rest))  # type: ignore[return-value]


def _weighted_median(values: Values, weights: npt.NDArray[Any]) -> Values:
    """Of each row; (N, M) to (N,)."""
    order = np.argsort(values, axis=1)
    sums = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    middle = (sums >= sums[:, -1:] / 2).argmax(axis=1)
    return np.take_along_axis(values, np.take_along_axis(order, middle[:, np.newaxis], axis=1), axis=1)[:, 0]
