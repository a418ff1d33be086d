"""Tiles that show nothing of use: blank, blurred, or the same as another."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.tiles.window import Boxes, Frame, Mask, covered_by, covered_table
from tilewise.units import Box

RGB = npt.NDArray[np.uint8]
ReadBox = Callable[[Box], RGB]
"""Pixels of a box in level-0 pixels, uint8 (height, width, 3)."""

# White noise of standard deviation 1 leaves this much variance between blurs of 1 and 2 px and of 2 and 4 px.
_NOISE_IN_FINE, _NOISE_IN_COARSE = 0.0358, 0.0090
_NOISE_KERNEL: Final = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
# Detail weaker than this (grey levels squared) is an empty field, of which nothing can be said.
_NO_DETAIL: Final = 0.5
# Smaller tiles have too little inside for a blur of 4 px.
_LONGEST_SIDE: Final = 512
_SMALL: Final = 12
_FLAT: Final = 1.0
_BLOCK: Final = 512


def not_blank(boxes: Boxes, tissue: Mask, min_ratio: float, frame: Frame | None = None) -> npt.NDArray[np.bool_]:
    """Which boxes, int64 (N, 4), hold at least this share of tissue, bool (H, W) lying on the slide so; bool (N,)."""
    return covered_by(covered_table(tissue), boxes, frame) >= min_ratio


def in_focus(boxes: Boxes, read: ReadBox, min_sharpness: float) -> npt.NDArray[np.bool_]:
    """Which boxes of a slide, int64 (N, 4), are in focus, or too empty to tell; bool (N,)."""
    return np.array(
        [(sharpness(read(_middle(Box(*box)))) or min_sharpness) >= min_sharpness for box in boxes.tolist()], dtype=bool
    )


def sharpness(rgb: RGB) -> float | None:
    """Strength of detail of 1 to 2 px over that of 2 to 4 px, noise taken off; None without any detail.

    After the band-energy measures compared by Pertuz et al., Pattern Recognit 46, 2013. Neither stain nor contrast
    counts. Of a large tile the middle is looked at.

    Args:
        rgb: uint8 (H, W, 3) at level 0.
    """
    middle = _middle(Box(0, 0, rgb.shape[1], rgb.shape[0]))
    grey = cv2.cvtColor(np.ascontiguousarray(rgb[middle.rows, middle.columns]), cv2.COLOR_RGB2GRAY).astype(np.float32)
    first, second, third = (cv2.GaussianBlur(grey, (0, 0), scale) for scale in (1.0, 2.0, 4.0))
    noise = float(np.median(np.abs(cv2.filter2D(grey, -1, _NOISE_KERNEL)))) / 6 / 0.6745
    fine = float(((first - second) ** 2).mean()) - _NOISE_IN_FINE * noise**2
    coarse = float(((second - third) ** 2).mean()) - _NOISE_IN_COARSE * noise**2
    return None if coarse < _NO_DETAIL else math.sqrt(max(fine, 0.0) / coarse)


def unlike_earlier(boxes: Boxes, read: ReadBox, max_similarity: float) -> npt.NDArray[np.bool_]:
    """Which boxes are no near-duplicate of an earlier one that is kept; bool (N,).

    Tiles are compared by the correlation of their pixels averaged to 12 x 12, each colour about its mean; two tiles
    without any structure are alike where their colours are.

    Args:
        boxes: int64 (N, 4) inside the slide.
        read: of the slide.
        max_similarity: a correlation above this makes a duplicate.
    """
    signatures = np.empty((len(boxes), 3 * _SMALL * _SMALL + 1), dtype=np.float32)
    for index, box in enumerate(boxes.tolist()):
        signatures[index] = _signature(read(Box(*box)))
    distinct = np.zeros(len(boxes), dtype=bool)
    for start in range(0, len(boxes), _BLOCK):
        block = signatures[start : start + _BLOCK]
        fresh = np.ones(len(block), dtype=bool)
        earlier = np.flatnonzero(distinct)
        for begin in range(0, len(earlier), _BLOCK):
            fresh &= (block @ signatures[earlier[begin : begin + _BLOCK]].T <= max_similarity).all(axis=1)
        among = block @ block.T > max_similarity
        for index in np.flatnonzero(fresh).tolist():
            distinct[start + index] = not (among[index, :index] & distinct[start : start + index]).any()
    return distinct


def _signature(rgb: RGB) -> npt.NDArray[np.float32]:
    small = cv2.resize(rgb, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA).astype(np.float32).reshape(-1, 3)
    centred = (small - small.mean(axis=0)).ravel()
    signature = np.zeros(len(centred) + 1, dtype=np.float32)
    spread = float(np.sqrt((centred**2).mean()))
    if spread < _FLAT:
        signature[-1] = 1.0
    else:
        signature[:-1] = centred / np.linalg.norm(centred)
    return signature


def _middle(box: Box) -> Box:
    left, top = (max(0, (length - _LONGEST_SIDE) // 2) for length in (box.width, box.height))
    return Box(box.x + left, box.y + top, min(box.width, _LONGEST_SIDE), min(box.height, _LONGEST_SIDE))
