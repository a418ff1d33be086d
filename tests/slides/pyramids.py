"""Pyramids written with tifffile, so that every pixel of every level is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

RGB = npt.NDArray[np.uint8]


def halved(rgb: RGB, *, times: int) -> list[RGB]:
    """The picture and its halves, each the mean of 2 x 2 pixels of the one before (odd edges are cut off)."""
    levels = [rgb]
    for _ in range(times):
        last = levels[-1][: levels[-1].shape[0] // 2 * 2, : levels[-1].shape[1] // 2 * 2].astype(np.float64)
        height, width = last.shape[0] // 2, last.shape[1] // 2
        levels.append(np.rint(last.reshape(height, 2, width, 2, 3).mean(axis=(1, 3))).astype(np.uint8))
    return levels


def write_pyramid(path: Path, levels: list[RGB], *, subifds: bool = False, **options: Any) -> Path:
    """Levels as pages of their own, as libvips and Aperio write them, or below the first page, as OME does."""
    options = {"photometric": "rgb", "tile": (32, 48), "compression": "zlib", "metadata": None} | options
    with tifffile.TiffWriter(path) as file:
        file.write(levels[0], subifds=len(levels) - 1 if subifds else 0, **options)
        for level in levels[1:]:
            file.write(level, subfiletype=1, **options)
    return path
