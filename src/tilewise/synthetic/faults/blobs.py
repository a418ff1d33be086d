"""A large, glossy, saturated blob pasted on a slide, with a solid core, a highlight and a faint halo."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np

from tilewise.synthetic.faults.faces import hsv
from tilewise.synthetic.faults.glass import Alpha, Mask, Picture, Rgb, mix
from tilewise.synthetic.faults.held_out import BLOB_FAMILY, drip_outline
from tilewise.synthetic.faults.outlines import Outline, glossy_outline, smear_outline, splat_outline
from tilewise.synthetic.fields import Field, smooth_field

_OUTLINES: Mapping[str, Outline] = MappingProxyType(
    {"glossy": glossy_outline, "splat": splat_outline, "smear": smear_outline, BLOB_FAMILY: drip_outline}
)
BLOB_FAMILIES: tuple[str, ...] = tuple(name for name in _OUTLINES if name != BLOB_FAMILY)
"""Families that detectors may be tuned on."""

# Hue in degrees, saturation and value; each from, to.
_Range = tuple[float, float]
_COLOURS: Mapping[str, tuple[_Range, _Range, _Range]] = MappingProxyType(
    {
        "green": ((92.0, 155.0), (0.65, 1.0), (0.45, 0.9)),
        "blue": ((205.0, 240.0), (0.7, 1.0), (0.45, 0.9)),
        "black": ((0.0, 360.0), (0.0, 0.3), (0.04, 0.13)),
        "red": ((-8.0, 8.0), (0.8, 1.0), (0.6, 0.95)),
        "yellow": ((46.0, 58.0), (0.75, 1.0), (0.85, 1.0)),
    }
)
BLOB_COLOURS: tuple[str, ...] = tuple(_COLOURS)


def paste_blob(rng: np.random.Generator, rgb: Rgb, *, aim: Mask, colour: str, family: str) -> tuple[Rgb, Alpha]:
    """Paste one blob.

    Args:
        rng: of its place, shape, shade and transparency; the core is 75 to 100 % opaque.
        rgb: uint8 (H, W, 3), a slide.
        aim: bool (H, W); the middle lies on one of these pixels (tissue, mask), or for one blob in four beside it, so
            that part of the blob lies on glass.
        colour: one of `BLOB_COLOURS`.
        family: one of `BLOB_FAMILIES`, or the one kept out of all tuning.

    Returns:
        The slide with the blob, and float32 (H, W): the share of blob in every pixel, 0 where nothing was changed.
    """
    paint, alpha = draw_blob(rng, aim, colour=colour, family=family)
    return mix(rgb, paint, alpha), alpha


def draw_blob(rng: np.random.Generator, aim: Mask, *, colour: str, family: str) -> tuple[Picture, Alpha]:
    """The blob alone: its colours, float32 (H, W, 3), and its share of every pixel, float32 (H, W)."""
    radius = min(aim.shape) * float(np.exp(rng.uniform(np.log(0.055), np.log(0.15))))
    depth = _OUTLINES[family](rng, aim.shape, _draw_middle(rng, aim, radius), radius)
    opacity = rng.uniform(0.75, 1.0) if rng.random() < 0.7 else 1.0
    core = np.clip(depth / np.float32(rng.uniform(1.2, 3.0)) + 0.5, 0.0, 1.0) * opacity
    reach = rng.uniform(4.0, 0.02 * min(aim.shape) + 4.0)
    halo = rng.uniform(0.15, 0.45) * np.exp(np.minimum(depth, 0.0) / np.float32(0.4 * reach))
    # The halo ends, it does not fade for ever.
    halo *= np.clip((depth + reach) / (0.5 * reach), 0.0, 1.0)
    # In steps that a byte holds, so that the file of the truth is exact.
    alpha = (np.rint(np.maximum(core, halo * opacity) * 255.0) / 255.0).astype(np.float32)
    return _paint(rng, depth, radius, colour), alpha


def _draw_middle(rng: np.random.Generator, aim: Mask, radius: float) -> tuple[float, float]:
    height, width = aim.shape
    inside = np.flatnonzero(aim)
    chosen = int(inside[rng.integers(len(inside))]) if len(inside) else int(rng.integers(aim.size))
    x, y = float(chosen % width), float(chosen // width)
    if rng.random() < 0.25:
        turn = rng.uniform(0, 2 * np.pi)
        x, y = x + radius * np.cos(turn), y + radius * np.sin(turn)
    margin = 0.5 * radius
    return float(np.clip(x, margin, width - margin)), float(np.clip(y, margin, height - margin))


def _paint(rng: np.random.Generator, depth: Field, radius: float, colour: str) -> Picture:
    """Colour of a pillow of wet paint, lit from one side."""
    hues, saturations, values = _COLOURS[colour]
    base = np.array(hsv(rng.uniform(*hues), rng.uniform(*saturations), rng.uniform(*values)), np.float32)
    relief = radius * 0.5 * np.sqrt(np.clip(depth / (0.7 * radius), 0.0, 1.0))
    relief = cv2.GaussianBlur(relief.astype(np.float32), (0, 0), max(1.0, 0.08 * radius))
    slope_x, slope_y = cv2.Sobel(relief, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(relief, cv2.CV_32F, 0, 1) / 8
    turn = rng.uniform(0, 2 * np.pi)
    # Of the surface towards the light; 1 is head on.
    steep = np.sqrt(1.0 + slope_x**2 + slope_y**2)
    facing = (0.75 - 0.66 * (slope_x * np.cos(turn) + slope_y * np.sin(turn))) / steep
    shade = 0.55 + 0.6 * np.clip(facing, 0.0, 1.0)
    streaks = 1.0 + 0.05 * smooth_field(rng, (depth.shape[0], depth.shape[1]), 0.4 * radius, 0.1 * radius)
    # Two highlights: a window's, sharp, and the room's, broad and faint; on the shoulder that faces the light.
    reflected = 2.0 * facing * (0.75 / steep) - 0.55 + 0.35 * (facing - 0.75)
    sharp = np.clip((reflected - np.quantile(reflected[depth > 0.0], 0.93)) / 0.04, 0.0, 1.0)
    gloss = sharp * rng.uniform(0.45, 0.95) + 0.25 * np.clip((facing - 0.85) / 0.15, 0.0, 1.0)
    gloss = np.clip(gloss, 0.0, 1.0) * (depth > 2.0)
    paint = base * (shade * streaks)[:, :, None]
    paint += (250.0 - paint) * cv2.GaussianBlur(gloss.astype(np.float32), (0, 0), 1.0)[:, :, None]
    return np.asarray(np.clip(paint, 0.0, 255.0), dtype=np.float32)
