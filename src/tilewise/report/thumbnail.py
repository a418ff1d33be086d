"""A small picture of a slide with its tiles and its mask."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.cohort import Slide, read_mask
from tilewise.report.data import Picture
from tilewise.slides import open_slide
from tilewise.tiles.window import Boxes
from tilewise.units import Box, Size

_SIDE = 480


def thumbnail(slide: Mapping[Hashable, Any], boxes: Boxes) -> Picture:
    """Draw one slide small.

    Args:
        slide: a row of the audit's slide table.
        boxes: its tiles, int64 (N, 4) in level-0 pixels.

    Raises:
        SlideError: the slide or its mask cannot be read.
    """
    path = Path(slide["path"])
    rgb_HWC, size = _small(path, _stamp(path), int(slide["width"]) * int(slide["height"]))
    height, width = rgb_HWC.shape[:2]
    scale_x, scale_y = width / size.width, height / size.height
    small = tuple(
        Box(
            round(x * scale_x),
            round(y * scale_y),
            max(1, round((x + w) * scale_x) - round(x * scale_x)),
            max(1, round((y + h) * scale_y) - round(y * scale_y)),
        )
        for x, y, w, h in boxes.tolist()
    )
    mask_HW = None
    if slide["use_mask"]:
        source = Slide(str(slide["slide"]), Path(slide["path"]), Path(slide["mask"]), None, None, None, {})
        mask, _ = read_mask(source, size)
        mask_HW = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)
    return Picture(rgb_HWC, small, mask_HW)


@lru_cache(maxsize=128)  # variants of a sweep mostly show the same slides; one is half a megabyte
def _small(path: Path, stamp: tuple[int, int], max_pixels: int) -> tuple[npt.NDArray[np.uint8], Size]:
    del stamp  # another file in the same place is another picture
    with open_slide(path, max_pixels=max_pixels) as reader:
        return reader.thumbnail(_SIDE), reader.size


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0  # opening it says what is wrong
    return found.st_mtime_ns, found.st_size
