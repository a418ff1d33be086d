"""The heat of a slide as a picture: the slide in grey, and over its tiles how likely the class is."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from tilewise.auditing.cohort import AuditedSlide
from tilewise.explain.paint import paint
from tilewise.explain.values import TileValues
from tilewise.slides import open_slide
from tilewise.slides.png import encode_png
from tilewise.units import Size

_LONGEST_SIDE: Final = 1024
_OPACITY: Final = 0.7


def draw_map(slide: AuditedSlide, values: TileValues) -> bytes:
    """Draw the probability of a class, viridis from 0 (dark blue) to 1 (yellow), as PNG.

    Args:
        slide: that was predicted.
        values: of its tiles.

    Raises:
        SlideError: the slide cannot be read.
    """
    with open_slide(slide.slide.path, max_pixels=slide.size.area) as reader:
        thumbnail_HWC = reader.thumbnail(_LONGEST_SIDE)
    height, width = thumbnail_HWC.shape[:2]
    values_T11 = values.probabilities_T[:, None, None].astype(np.float32)
    painted_HW = paint(values_T11, values.boxes, values.boxes, size=slide.size, canvas=Size(width, height))
    levels_HW = (np.nan_to_num(painted_HW).clip(0, 1) * 255).round().astype(np.uint8)
    colours_HWC = cv2.cvtColor(cv2.applyColorMap(levels_HW, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    grey_HWC = cv2.cvtColor(cv2.cvtColor(thumbnail_HWC, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    opacity_HW1 = np.where(np.isnan(painted_HW), 0.0, _OPACITY)[:, :, None]
    return encode_png((opacity_HW1 * colours_HWC + (1 - opacity_HW1) * grey_HWC).round().astype(np.uint8))
