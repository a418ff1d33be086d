"""A small picture of a slide with its tiles and its mask."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tilewise.cohort import Slide, read_mask
from tilewise.report.data import Picture
from tilewise.slides import open_slide
from tilewise.tiles.window import Boxes
from tilewise.units import Box

_SIDE = 480


def thumbnail(slide: Mapping[Hashable, Any], boxes: Boxes) -> Picture:
    """Draw one slide small.

    Args:
        slide: a row of the audit's slide table.
        boxes: its tiles, int64 (N, 4) in level-0 pixels.

    Raises:
        SlideError: the slide or its mask cannot be read.
    """
    with open_slide(Path(slide["path"]), max_pixels=int(slide["width"]) * int(slide["height"])) as reader:
        rgb_HWC, size = reader.thumbnail(_SIDE), reader.size
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
