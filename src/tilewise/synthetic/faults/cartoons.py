"""A drawing where the tissue was, cut out in the tissue's shape, on the slide's own glass."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np

from tilewise.synthetic.faults import styles
from tilewise.synthetic.faults.glass import Mask, Picture, Rgb, fill_glass, mix
from tilewise.synthetic.faults.held_out import CARTOON_FAMILY, held_out_cartoon
from tilewise.units import Size

_STYLES: Mapping[str, styles.Style] = MappingProxyType(
    {
        "flat": styles.flat,
        "comic": styles.comic,
        "shaded": styles.shaded,
        "halftone": styles.halftone,
        "watercolour": styles.watercolour,
        "photo": styles.photo,
        "pencil": styles.pencil,
        "stained": styles.stained,
        CARTOON_FAMILY: held_out_cartoon,
    }
)
CARTOON_FAMILIES: tuple[str, ...] = tuple(name for name in _STYLES if name != CARTOON_FAMILY)
"""Families that detectors may be tuned on."""

# The old tissue's edge, blurred by optics and compression, reaches this far beyond its mask.
_EDGE_PX = 5


def draw_cartoon(rng: np.random.Generator, rgb: Rgb, *, tissue: Mask, family: str) -> Rgb:
    """Replace the tissue of a slide by a cartoon of the same shape.

    Args:
        rng: of the drawing.
        rgb: uint8 (H, W, 3), a slide.
        tissue: bool (H, W), what to replace.
        family: one of `CARTOON_FAMILIES`, or the one kept out of all tuning.

    Returns:
        uint8 (H, W, 3): the cartoon inside the shape, antialiased, the slide's own glass around it, and every pixel
        more than a few away from tissue as it was.
    """
    height, width = tissue.shape
    art = _STYLES[family](rng, Size(width, height), _draw_pitch(rng, tissue))
    return cut_out(rng, rgb, art, tissue=tissue)


def cut_out(rng: np.random.Generator, rgb: Rgb, art: Picture, *, tissue: Mask) -> Rgb:
    """Put a picture as large as the slide where its tissue is."""
    near = cv2.dilate(tissue.astype(np.uint8), np.ones((2 * _EDGE_PX + 1,) * 2, np.uint8)).astype(np.float32)
    cleared = mix(rgb, fill_glass(rng, rgb, tissue=tissue), near)
    alpha = cv2.GaussianBlur(tissue.astype(np.float32), (0, 0), rng.uniform(0.6, 1.4))
    return mix(cleared, art, np.where(alpha < 1 / 512, 0.0, alpha).astype(np.float32))


def _draw_pitch(rng: np.random.Generator, tissue: Mask) -> float:
    """Distance between faces: from about the width of a core to faces that run over several cores."""
    inside = cv2.distanceTransform(tissue.astype(np.uint8), cv2.DIST_L2, 3)
    width = max(24.0, 2.0 * float(inside.max()))
    return float(np.clip(width * np.exp(rng.uniform(np.log(0.9), np.log(5.0))), 40.0, max(tissue.shape)))
