"""Families of faults that no detector was tuned on; only benchmarks and this package may look at them."""

from __future__ import annotations

import cv2
import numpy as np

from tilewise.synthetic.faults.faces import bright_palette, draw_faces, stained_palette
from tilewise.synthetic.faults.glass import Picture
from tilewise.synthetic.faults.outlines import signed_depth
from tilewise.synthetic.fields import Field, smooth_field
from tilewise.units import Size

CARTOON_FAMILY = "crayon"
BLOB_FAMILY = "drip"


def held_out_cartoon(rng: np.random.Generator, size: Size, pitch: float) -> Picture:
    """Wax crayon: strokes in changing directions, and paper that shows through them."""
    palette = bright_palette(rng) if rng.random() < 0.6 else stained_palette(rng)
    line_px = pitch * rng.uniform(0.0, 0.03)
    art = draw_faces(rng, size, palette=palette, line_px=line_px, pitch=pitch).rgb.astype(np.float32)
    shape = (size.height, size.width)
    # Strokes follow the colour they fill, in a direction of its own.
    turned = cv2.cvtColor(art / 255.0, cv2.COLOR_RGB2GRAY) > rng.uniform(0.4, 0.7)
    first = smooth_field(rng, shape, rng.uniform(5.0, 9.0), 0.9)
    second = smooth_field(rng, shape, 0.9, rng.uniform(5.0, 9.0))
    strokes = np.where(turned, first, second)
    grain = 0.6 * strokes + 0.7 * smooth_field(rng, shape, 1.3, 1.3)
    wax = np.clip(0.5 + (grain + rng.uniform(0.4, 1.1)) / 1.6, 0.0, 1.0)[:, :, None]
    tint = 1.0 + 0.08 * smooth_field(rng, shape, 0.2 * pitch, 0.2 * pitch)[:, :, None]
    paper = np.array([250.0, 247.0, rng.uniform(232.0, 246.0)], np.float32)
    return np.asarray(paper * (1.0 - wax) + art * tint * wax, dtype=np.float32)


def drip_outline(rng: np.random.Generator, shape: tuple[int, ...], middle: tuple[float, float], radius: float) -> Field:
    """Runny paint: a cap from which drips of several lengths run down, with holes in it like bubbles."""
    x, y = middle
    along = np.linspace(-1.0, 1.0, 90)
    half = 0.95 * radius
    length = 0.35 + 0.12 * rng.standard_normal() * np.cos(4.0 * along)
    for _ in range(int(rng.integers(3, 7))):
        width, reach = rng.uniform(0.07, 0.16), rng.uniform(0.4, 1.5)
        length += reach * np.exp(-(((along - rng.uniform(-0.85, 0.85)) / width) ** 4))
    rim = np.sqrt(np.clip(1.0 - along**4, 0.0, 1.0))
    upper = np.stack([x + half * along, y - 0.45 * radius * rim], axis=1)
    lower = np.stack([x + half * along, y + half * np.maximum(length, 0.1) * rim], axis=1)
    points = np.concatenate([upper, lower[::-1]])
    turn = rng.normal(0.0, 0.3) + np.pi / 2 * rng.integers(4)
    turned = (points - middle) @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + middle
    depth = signed_depth([turned], shape)
    rows, columns = np.indices((shape[0], shape[1]), dtype=np.float32)
    for _ in range(int(rng.integers(0, 4))):
        at = np.asarray(middle) + rng.uniform(-0.35, 0.35, 2) * radius
        size = radius * rng.uniform(0.04, 0.10)
        np.minimum(depth, np.hypot(columns - at[0], rows - at[1]) - size, out=depth)
    return depth
