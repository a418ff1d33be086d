"""Upright gradient descriptors: turning the picture by a right angle or mirroring it only reorders their bins."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.copies.keypoints import Keypoints, Level

# Cells of a square around the keypoint, and directions of the gradient in each.
NUM_CELLS = 4
NUM_DIRECTIONS = 8
NUM_BINS = NUM_CELLS * NUM_CELLS * NUM_DIRECTIONS
# A cell is 3 sigma wide (Lowe 2004), sampled 4 x 4 times.
_SAMPLES = 4 * NUM_CELLS
_CELL_SIGMAS = 3.0
_CLIP = 0.2
#: A descriptor of length 1 is stored as bytes of this many units.
SCALE = 800.0


def describe(keypoints: Keypoints, levels: list[Level]) -> npt.NDArray[np.uint8]:
    """Describe the surroundings of each keypoint.

    The histograms of gradients of SIFT (Lowe, IJCV 60(2), 2004), without its orientation: slides are copied upright,
    turned by right angles or mirrored. The square root of each share is kept (Arandjelovic and Zisserman, CVPR 2012).

    Returns:
        uint8 (N, 128): row and column of the cell, then direction; `SCALE` is one.
    """
    histograms = np.zeros((len(keypoints.places), NUM_CELLS * NUM_CELLS, NUM_DIRECTIONS), np.float32)
    for index in np.unique(keypoints.levels):
        members = np.flatnonzero(keypoints.levels == index)
        dx, dy = _gradients(keypoints, levels[index], members)
        histograms[members] = _histograms(dx, dy)
    flat = histograms.reshape(len(histograms), NUM_BINS)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    flat = np.minimum(flat / np.maximum(length, 1e-9), _CLIP)
    shares = flat / np.maximum(flat.sum(axis=1, keepdims=True), 1e-9)
    return np.asarray(np.clip(np.rint(np.sqrt(shares) * SCALE), 0, 255), dtype=np.uint8)


def _gradients(
    keypoints: Keypoints, level: Level, members: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """(n, samples, samples) each, sampled symmetrically about the keypoint."""
    step = keypoints.sigmas[members] / level.stride * (_CELL_SIGMAS * NUM_CELLS / _SAMPLES)
    centre = (keypoints.places[members] + 0.5) / level.stride - 0.5
    offsets = np.arange(_SAMPLES + 2, dtype=np.float32) - (_SAMPLES + 1) / 2
    x = centre[:, 0, None] + step[:, None] * offsets
    y = centre[:, 1, None] + step[:, None] * offsets
    side = len(offsets)
    map_x = np.broadcast_to(x[:, None, :], (len(members), side, side)).reshape(-1, side)
    map_y = np.broadcast_to(y[:, :, None], (len(members), side, side)).reshape(-1, side)
    patches = np.empty((len(members) * side, side), np.float32)
    # remap takes at most 32,767 rows.
    for start in range(0, len(patches), 32_000):
        rows = slice(start, start + 32_000)
        patches[rows] = cv2.remap(
            level.grey,
            np.ascontiguousarray(map_x[rows]),
            np.ascontiguousarray(map_y[rows]),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    cubes = patches.reshape(len(members), side, side)
    return cubes[:, 1:-1, 2:] - cubes[:, 1:-1, :-2], cubes[:, 2:, 1:-1] - cubes[:, :-2, 1:-1]


def _pooling() -> npt.NDArray[np.float32]:
    """(samples², cells²): bilinear weights to the cells, times a Gaussian of half the square's width."""
    at = (np.arange(_SAMPLES) + 0.5) / _SAMPLES * NUM_CELLS - 0.5
    weights = np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(NUM_CELLS)))
    weights *= np.exp(-0.5 * ((at - (NUM_CELLS - 1) / 2) / (NUM_CELLS / 2)) ** 2)[:, None]
    both = np.einsum("ri,cj->rcij", weights, weights)
    return np.asarray(both.reshape(_SAMPLES**2, NUM_CELLS**2), dtype=np.float32)


_POOLING = _pooling()


def _histograms(dx: npt.NDArray[np.float32], dy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    num = len(dx)
    strength, angle = cv2.cartToPolar(dx.reshape(num, -1), dy.reshape(num, -1))
    place = angle * np.float32(NUM_DIRECTIONS / (2 * np.pi))
    histograms = np.empty((num, NUM_CELLS * NUM_CELLS, NUM_DIRECTIONS), np.float32)
    half = NUM_DIRECTIONS / 2
    for direction in range(NUM_DIRECTIONS):
        # How far round the circle, in bins: |((place - direction + half) mod n) - half|.
        away = np.abs(place - np.float32(direction))
        away = np.minimum(away, np.float32(2 * half) - away)
        histograms[:, :, direction] = (strength * np.maximum(np.float32(1.0) - away, 0)) @ _POOLING
    return histograms
