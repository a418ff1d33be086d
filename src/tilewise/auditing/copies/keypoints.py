"""Keypoints: what stands out from its surroundings, at its own size (Lowe, IJCV 60(2), 2004)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

_FIRST_SIGMA = 1.6
_STEPS_PER_OCTAVE = 2
_NUM_OCTAVES = 4
_SMALLEST_OCTAVE_PX = 24
# Of the grey range 0..1. Faint structure is kept: what is picked in the end is picked by rank.
_LOWEST_CONTRAST = 0.004
_EDGE_RATIO = 15.0
_CELL_PX = 24

Grey = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Keypoints:
    """Where they are, best first.

    Attributes:
        places: float32 (N, 2), x, y in pixels of the working picture, of pixel centres.
        sigmas: float32 (N,), the blur at which each stands out most, in pixels of the working picture.
        levels: int (N,), index into the levels of the pyramid to describe it at.
        response: float32 (N,).
    """

    places: Grey
    sigmas: Grey
    levels: npt.NDArray[np.intp]
    response: Grey


@dataclass(frozen=True)
class Level:
    """One blurred picture, and how many working pixels one of its own is wide."""

    grey: Grey
    stride: float


def find_keypoints(grey: Grey, tissue: npt.NDArray[np.bool_], *, most: int) -> tuple[Keypoints, list[Level]]:
    """Find extrema of the difference of Gaussians on tissue, spread over it.

    The first octave is not doubled as in the paper: the finest grain is what recompression destroys, and it costs most.

    Args:
        grey: (H, W), about 0..1.
        tissue: (H, W).
        most: how many to keep; the best of each neighbourhood come first.

    Returns:
        The keypoints and the pyramid to describe them on.
    """
    levels: list[Level] = []
    rows: list[Grey] = []
    base = cv2.GaussianBlur(grey, (0, 0), (_FIRST_SIGMA**2 - 0.5**2) ** 0.5)
    for octave in range(_NUM_OCTAVES):
        if min(base.shape) < _SMALLEST_OCTAVE_PX:
            break
        blurred = _blur(base)
        stride = float(2**octave)
        octave_N5 = _extrema([after - before for before, after in pairwise(blurred)])
        octave_N5[:, 3] += len(levels)
        octave_N5[:, :2] = (octave_N5[:, :2] + 0.5) * stride - 0.5
        octave_N5[:, 2] *= stride
        rows.append(octave_N5)
        levels += [Level(picture, stride) for picture in blurred]
        base = np.ascontiguousarray(
            cv2.resize(blurred[_STEPS_PER_OCTAVE], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        )
    keypoints_N5 = np.concatenate(rows) if rows else np.empty((0, 5), np.float32)
    keypoints_N5 = keypoints_N5[_on(keypoints_N5[:, :2], tissue)]
    keypoints_N5 = keypoints_N5[_spread(keypoints_N5)[:most]]
    return Keypoints(
        keypoints_N5[:, :2], keypoints_N5[:, 2], keypoints_N5[:, 3].astype(np.intp), keypoints_N5[:, 4]
    ), levels


def _blur(base: Grey) -> list[Grey]:
    pictures, ratio = [base], 2.0 ** (1.0 / _STEPS_PER_OCTAVE)
    for step in range(_STEPS_PER_OCTAVE + 2):
        sigma = _FIRST_SIGMA * ratio**step
        more = sigma * (ratio**2 - 1.0) ** 0.5
        size = 2 * int(np.ceil(2.5 * more)) + 1
        pictures.append(cv2.GaussianBlur(pictures[-1], (size, size), more))
    return pictures


def _extrema(differences: list[Grey]) -> Grey:
    """float32 (N, 5): x, y, sigma, level, response, in pixels of this octave."""
    kernel = np.ones((3, 3), np.uint8)
    highest = [cv2.dilate(picture, kernel) for picture in differences]
    lowest = [cv2.erode(picture, kernel) for picture in differences]
    rows = []
    for index in range(1, len(differences) - 1):
        here = differences[index]
        top = np.maximum(np.maximum(highest[index - 1], highest[index]), highest[index + 1])
        bottom = np.minimum(np.minimum(lowest[index - 1], lowest[index]), lowest[index + 1])
        peak = ((here == top) & (here > _LOWEST_CONTRAST)) | ((here == bottom) & (here < -_LOWEST_CONTRAST))
        peak[[0, -1]] = False
        peak[:, [0, -1]] = False
        y, x = np.nonzero(peak)
        rows.append(_refine(differences, index, y, x))
    return np.concatenate(rows)


def _refine(differences: list[Grey], index: int, y: npt.NDArray[np.intp], x: npt.NDArray[np.intp]) -> Grey:
    here = differences[index]
    value = here[y, x]
    left, right, up, down = here[y, x - 1], here[y, x + 1], here[y - 1, x], here[y + 1, x]
    dxx, dyy = left + right - 2 * value, up + down - 2 * value
    dxy = (here[y + 1, x + 1] + here[y - 1, x - 1] - here[y - 1, x + 1] - here[y + 1, x - 1]) / 4
    determinant = dxx * dyy - dxy**2
    round_enough = (determinant > 0) & ((dxx + dyy) ** 2 * _EDGE_RATIO < (_EDGE_RATIO + 1) ** 2 * determinant)
    finer, coarser = differences[index - 1][y, x], differences[index + 1][y, x]
    step = _vertex(finer, value, coarser)
    sigma = _FIRST_SIGMA * 2.0 ** ((index + step) / _STEPS_PER_OCTAVE)
    keypoints_N5 = np.stack(
        [x + _vertex(left, value, right), y + _vertex(up, value, down), sigma, np.full(len(x), index), np.abs(value)],
        axis=1,
    )
    return keypoints_N5[round_enough].astype(np.float32)


def _vertex(before: Grey, here: Grey, after: Grey) -> Grey:
    bend = before + after - 2 * here
    offset = np.where(np.abs(bend) > 1e-9, (before - after) / np.where(bend == 0, 1, 2 * bend), 0.0)
    return np.clip(offset, -0.5, 0.5).astype(np.float32)


def _on(places: Grey, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    columns = np.clip(np.rint(places[:, 0]).astype(int), 0, mask.shape[1] - 1)
    rows = np.clip(np.rint(places[:, 1]).astype(int), 0, mask.shape[0] - 1)
    return np.asarray(mask[rows, columns])


def _spread(keypoints_N5: Grey) -> npt.NDArray[np.intp]:
    """Order: the best of each cell of a grid first, then the second best of each, so that no blob takes all."""
    cells = (keypoints_N5[:, 1] // _CELL_PX).astype(int) * 10_000 + (keypoints_N5[:, 0] // _CELL_PX).astype(int)
    order = np.lexsort((keypoints_N5[:, 0], keypoints_N5[:, 1], -keypoints_N5[:, 4], cells))
    sorted_cells = cells[order]
    starts = np.flatnonzero(np.r_[True, sorted_cells[1:] != sorted_cells[:-1]]) if len(order) else np.empty(0, int)
    lengths = np.diff(np.r_[starts, len(order)])
    rank = np.arange(len(order)) - np.repeat(starts, lengths)
    return order[np.lexsort((-keypoints_N5[order, 4], rank))]
