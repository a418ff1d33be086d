"""Ways to draw a cartoon: from flat colour to watercolour."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from tilewise.synthetic.faults.faces import Drawing, bright_palette, draw_faces, stained_palette
from tilewise.synthetic.faults.glass import Picture
from tilewise.synthetic.fields import Field, smooth_field
from tilewise.units import Size

Style = Callable[[np.random.Generator, Size, float], Picture]


def flat(rng: np.random.Generator, size: Size, pitch: float) -> Picture:
    """Flat colours without outlines."""
    return draw_faces(rng, size, palette=bright_palette(rng), line_px=0.0, pitch=pitch).rgb.astype(np.float32)


def comic(rng: np.random.Generator, size: Size, pitch: float) -> Picture:
    """Flat colours within dark outlines."""
    return _outlined(rng, size, pitch).rgb.astype(np.float32)


def shaded(rng: np.random.Generator, size: Size, pitch: float) -> Picture:
    """Soft gradients, as in films made by computer."""
    drawing = draw_faces(rng, size, palette=bright_palette(rng), line_px=0.0, pitch=pitch)
    return lit(rng, drawing, pitch)


def halftone(rng: np.random.Generator, size: Size, pitch: float) -> Picture:
    """Printed in dots of cyan, magenta and yellow, with black outlines."""
    art = lit(rng, _outlined(rng, size, pitch), pitch)
    screen = rng.uniform(5.0, 11.0)
    y, x = np.mgrid[: size.height, : size.width].astype(np.float32)
    printed = np.empty_like(art)
    for channel, angle in enumerate(np.deg2rad([15.0, 75.0, 0.0]) + rng.uniform(0, 0.3)):
        u = (x * np.cos(angle) + y * np.sin(angle)) * np.float32(2 * np.pi / screen)
        v = (y * np.cos(angle) - x * np.sin(angle)) * np.float32(2 * np.pi / screen)
        dots = 0.5 + 0.25 * (np.cos(u) + np.cos(v))
        printed[:, :, channel] = 248.0 * np.clip((art[:, :, channel] / 255.0 - dots) * 4.0 + 0.5, 0.05, 1.0)
    return printed


def watercolour(rng: np.random.Generator, size: Size, pitch: float) -> Picture:
    """Washes with pigment that gathers at the edges, on rough paper."""
    palette = bright_palette(rng) if rng.random() < 0.7 else stained_palette(rng)
    art = draw_faces(rng, size, palette=palette, line_px=0.0, pitch=pitch).rgb
    return washed(rng, art, pitch)


def photo(rng: np.random.Generator, size: Size, pitch: float) -> Picture:
    """Like a photograph of dolls: soft light, shallow focus, grain."""
    drawing = draw_faces(rng, size, palette=bright_palette(rng), line_px=0.0, pitch=pitch)
    soft = cv2.GaussianBlur(lit(rng, drawing, pitch), (0, 0), rng.uniform(0.8, 2.5))
    shape = (size.height, size.width)
    soft *= (1.0 + 0.10 * smooth_field(rng, shape, 0.4 * pitch, 0.4 * pitch))[:, :, None]
    grain = rng.standard_normal((*shape, 1), dtype=np.float32) * np.float32(rng.uniform(3.0, 9.0))
    return np.asarray(soft + cv2.GaussianBlur(grain, (0, 0), 0.7)[:, :, None], dtype=np.float32)


def pencil(rng: np.random.Generator, size: Size, pitch: float) -> Picture:
    """Lines and hatching in one dark tone on cream paper."""
    drawing = _outlined(rng, size, pitch)
    tone = cv2.cvtColor(lit(rng, drawing, pitch) / 255.0, cv2.COLOR_RGB2GRAY)
    y, x = np.mgrid[: size.height, : size.width].astype(np.float32)
    wobble = 2.0 * smooth_field(rng, (size.height, size.width), 20.0, 20.0)
    dark = np.zeros_like(tone)
    for angle, below in ((0.8, 0.75), (-0.7, 0.5), (0.1, 0.3)):
        lines = 0.5 + 0.5 * np.cos((x * np.cos(angle) + y * np.sin(angle) + wobble) * np.float32(2 * np.pi / 6.0))
        dark = np.maximum(dark, np.clip((below - tone) * 6.0, 0.0, 1.0) * lines)
    paper = np.array([rng.uniform(228, 250), rng.uniform(222, 244), rng.uniform(205, 235)], np.float32)
    ink = np.array(drawing.rgb.reshape(-1, 3).min(axis=0), np.float32) + 20.0
    texture = 1.0 + 0.04 * smooth_field(rng, (size.height, size.width), 1.2, 1.2)
    return np.asarray((paper + (ink - paper) * (0.8 * dark)[:, :, None]) * texture[:, :, None], dtype=np.float32)


def stained(rng: np.random.Generator, size: Size, pitch: float) -> Picture:
    """Pinks and purples as of haematoxylin and eosin, in one of the other manners."""
    palette, manner = stained_palette(rng), rng.integers(4)
    line_px = 0.035 * pitch if manner == 1 else 0.0
    drawing = draw_faces(rng, size, palette=palette, line_px=line_px, pitch=pitch)
    if manner < 2:
        return drawing.rgb.astype(np.float32)
    return lit(rng, drawing, pitch) if manner == 2 else washed(rng, drawing.rgb, pitch)


def lit(rng: np.random.Generator, drawing: Drawing, pitch: float) -> Picture:
    """The drawing with light and shade."""
    soft = cv2.GaussianBlur(drawing.rgb, (0, 0), max(0.7, 0.006 * pitch)).astype(np.float32)
    light = cv2.GaussianBlur(drawing.light, (0, 0), max(1.0, 0.02 * pitch))
    strength = rng.uniform(0.5, 0.9)
    gloss = 70.0 * np.clip((light - 0.9) / 0.1, 0.0, 1.0)
    return np.asarray(soft * (1.0 - strength + strength * 1.35 * light)[:, :, None] + gloss[:, :, None], np.float32)


def washed(rng: np.random.Generator, art: np.typing.NDArray[np.uint8], pitch: float) -> Picture:
    """The drawing as water carries it."""
    shape = (art.shape[0], art.shape[1])
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    shift = 0.03 * pitch
    x += shift * smooth_field(rng, shape, 0.08 * pitch, 0.08 * pitch) + 1.2 * smooth_field(rng, shape, 3.0, 3.0)
    y += shift * smooth_field(rng, shape, 0.08 * pitch, 0.08 * pitch) + 1.2 * smooth_field(rng, shape, 3.0, 3.0)
    bent = cv2.remap(art, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT).astype(np.float32)
    density = -np.log((bent + 4.0) / 262.0)
    pooled: Field = 1.0 + 0.30 * smooth_field(rng, shape, 0.15 * pitch, 0.15 * pitch)
    pooled += 0.12 * smooth_field(rng, shape, 2.0, 2.0) + 0.06 * rng.standard_normal(shape, dtype=np.float32)
    edge = np.abs(density - cv2.GaussianBlur(density, (0, 0), 3.0)).max(axis=2)
    strength = np.clip(pooled + 0.8 * edge, 0.3, 2.2) * rng.uniform(0.6, 0.95)
    return np.asarray(252.0 * np.exp(-density * strength[:, :, None]), dtype=np.float32)


def _outlined(rng: np.random.Generator, size: Size, pitch: float) -> Drawing:
    palette = bright_palette(rng)
    return draw_faces(rng, size, palette=palette, line_px=pitch * rng.uniform(0.015, 0.045), pitch=pitch)
