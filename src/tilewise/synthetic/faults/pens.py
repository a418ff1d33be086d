"""Harmless marks on the glass beside the tissue: pen lines, ticks, dots and writing, the edge of the glass, dust."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.synthetic.faults.faces import hsv
from tilewise.synthetic.faults.glass import Alpha, Mask, Picture, Rgb, mix

Points = npt.NDArray[np.float64]

# Marks keep this far away from tissue, pixels at a shorter side of 1024.
_CLEARANCE = 14
_TRIES = 60


def draw_pen(rng: np.random.Generator, rgb: Rgb, *, tissue: Mask, family: str) -> Rgb:
    """Put harmless marks on the glass; no pixel of tissue, nor within a few of it, is touched.

    Args:
        rng: of the marks.
        rgb: uint8 (H, W, 3), a slide.
        tissue: bool (H, W).
        family: one of `PEN_FAMILIES`.
    """
    if family == "edge":
        return _draw_edge(rng, rgb, tissue)
    if family == "dust":
        return _draw_dust(rng, rgb, tissue)
    return _draw_strokes(rng, rgb, tissue, _STROKES[family])


def _line(rng: np.random.Generator, unit: float) -> list[Points]:
    """A line along the slide, drawn freely."""
    length = unit * rng.uniform(0.15, 0.6)
    t = np.linspace(0.0, 1.0, 40)
    wobble = 0.02 * length * np.cumsum(rng.standard_normal(40)) / 6
    return [np.stack([length * t, wobble], axis=1)]


def _tick(rng: np.random.Generator, unit: float) -> list[Points]:
    """A tick, a cross or an arrow."""
    size = unit * rng.uniform(0.02, 0.05)
    kind = rng.integers(3)
    if kind == 0:
        return [size * np.array([[-0.6, -0.1], [-0.2, 0.5], [0.8, -0.8]])]
    if kind == 1:
        return [size * np.array([[-0.7, -0.7], [0.7, 0.7]]), size * np.array([[0.7, -0.7], [-0.7, 0.7]])]
    return [size * np.array([[-1.5, 0.0], [1.0, 0.1]]), size * np.array([[0.4, -0.5], [1.0, 0.1], [0.4, 0.6]])]


def _dots(rng: np.random.Generator, unit: float) -> list[Points]:
    """A few dots in a row."""
    gap = unit * rng.uniform(0.012, 0.03)
    return [np.array([[k * gap, 0.0], [k * gap + 0.5, 0.5]]) for k in range(int(rng.integers(1, 6)))]


def _writing(rng: np.random.Generator, unit: float) -> list[Points]:
    """A word or a number in a running hand: loops that move on."""
    size, strokes, x = unit * rng.uniform(0.012, 0.028), [], 0.0
    for _ in range(int(rng.integers(3, 8))):
        t = np.linspace(0.0, 2.0 * np.pi * rng.uniform(0.6, 1.5), 24)
        height, breadth = size * rng.uniform(0.5, 1.6), size * rng.uniform(0.3, 0.7)
        phase = rng.uniform(0, 2 * np.pi)
        loop = [x + breadth * np.sin(rng.uniform(1.0, 1.7) * t + phase) + 0.12 * size * t, height * np.cos(t)]
        strokes.append(np.stack(loop, axis=1))
        x += 1.5 * size
    return strokes


def _ring(rng: np.random.Generator, unit: float) -> list[Points]:
    """A circle around nothing that does not quite close."""
    t = np.linspace(0.0, 2.0 * np.pi * rng.uniform(0.9, 1.08), 60)
    a, b = unit * rng.uniform(0.03, 0.09, 2)
    return [np.stack([a * np.cos(t), b * np.sin(t + 0.02)], axis=1) + 0.02 * a * np.cos(3 * t)[:, None]]


_STROKES: Mapping[str, Callable[[np.random.Generator, float], list[Points]]] = MappingProxyType(
    {"line": _line, "tick": _tick, "dots": _dots, "writing": _writing, "ring": _ring}
)
PEN_FAMILIES: tuple[str, ...] = (*_STROKES, "edge", "dust")
"""All harmless; none is kept out of tuning."""


def _draw_strokes(
    rng: np.random.Generator, rgb: Rgb, tissue: Mask, make: Callable[[np.random.Generator, float], list[Points]]
) -> Rgb:
    unit = float(min(tissue.shape))
    hue, dark = rng.choice([225.0, 140.0, 5.0, 265.0, 0.0]), rng.random() < 0.35
    colour = (
        hsv(hue, 0.2, 0.12) if dark else hsv(hue + rng.uniform(-10, 10), rng.uniform(0.6, 1.0), rng.uniform(0.3, 0.8))
    )
    opacity, width = rng.uniform(0.6, 0.97), max(1, round(unit / 1024 * rng.uniform(1.5, 5.0)))
    free = _free_glass(tissue)
    out = rgb
    for _ in range(int(rng.integers(1, 5))):
        alpha = _place(rng, free, make(rng, unit), width)
        if alpha is not None:
            out = mix(out, np.full(rgb.shape, colour, np.float32), alpha * np.float32(opacity))
    return out


def _place(rng: np.random.Generator, free: Mask, strokes: list[Points], width: int) -> Alpha | None:
    """Turn and shift strokes until they lie on free glass; their share of every pixel, or None."""
    height, across = free.shape
    for attempt in range(_TRIES):
        turn, shrink = rng.uniform(0, 2 * np.pi), 1.0 if attempt < _TRIES // 2 else 0.4
        turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) * shrink
        at = np.array([rng.uniform(0.02, 0.98) * across, rng.uniform(0.02, 0.98) * height])
        placed = [np.round((points @ turned + at) * 16).astype(np.int32) for points in strokes]
        drawn = np.zeros(free.shape, np.uint8)
        for points in placed:
            cv2.polylines(drawn, [points], False, 255, width, cv2.LINE_AA, shift=4)
        if drawn.any() and not (drawn[~free]).any():
            return np.asarray(cv2.GaussianBlur(drawn, (0, 0), 0.6) / np.float32(255), dtype=np.float32)
    return None


def _draw_edge(rng: np.random.Generator, rgb: Rgb, tissue: Mask) -> Rgb:
    """The edge of the glass or of the cover slip: a grey band along one border, with a dark line."""
    height, width = tissue.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    from_borders = (x, y, width - 1 - x, height - 1 - y)
    margins = [float(away[tissue].min()) if tissue.any() else np.inf for away in from_borders]
    side = int(np.argmax(margins))
    unit = float(min(tissue.shape))
    depth = min(unit * rng.uniform(0.012, 0.05), 0.6 * margins[side])
    along = y if side % 2 == 0 else x
    slant = rng.uniform(-0.15, 0.15) * depth / max(height, width)
    beyond = from_borders[side] - depth - (along - 0.5 * max(height, width)) * slant
    band = np.clip(0.5 - beyond / 2.0, 0.0, 1.0) * rng.uniform(0.15, 0.6)
    line = np.exp(-((beyond / rng.uniform(1.0, 2.5)) ** 2)) * rng.uniform(0.2, 0.7)
    alpha = np.maximum(band, line).astype(np.float32) * _fade(tissue)
    grey = np.full(rgb.shape, rng.uniform(120.0, 190.0), np.float32) + rng.normal(0.0, 4.0, 3).astype(np.float32)
    return mix(rgb, grey, np.where(alpha < 1 / 512, 0.0, alpha).astype(np.float32))


def _draw_dust(rng: np.random.Generator, rgb: Rgb, tissue: Mask) -> Rgb:
    """Specks and fibres."""
    alpha = np.zeros(tissue.shape, np.uint8)
    height, width = tissue.shape
    for _ in range(int(rng.integers(20, 90))):
        center = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(rng.integers(1, 4)), int(rng.integers(1, 6)))
        cv2.ellipse(
            alpha, center, axes, float(rng.uniform(0, 180)), 0, 360, int(rng.integers(90, 240)), -1, cv2.LINE_AA
        )
    for _ in range(int(rng.integers(0, 6))):
        heading = rng.uniform(0, 2 * np.pi) + 0.25 * np.cumsum(rng.standard_normal(40))
        steps = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1) * rng.uniform(1.0, 3.0), axis=0)
        start = np.array([rng.uniform(0, width), rng.uniform(0, height)])
        points = np.round((start + steps) * 16).astype(np.int32)
        cv2.polylines(alpha, [points], False, int(rng.integers(90, 200)), 1, cv2.LINE_AA, shift=4)
    grey: Picture = np.full(rgb.shape, rng.uniform(40.0, 110.0), np.float32)
    return mix(rgb, grey, alpha.astype(np.float32) / np.float32(255) * _fade(tissue))


def _free_glass(tissue: Mask) -> Mask:
    return np.asarray(_fade(tissue) >= 1.0, dtype=bool)


def _fade(tissue: Mask) -> Alpha:
    """1 on glass, 0 within reach of tissue; float32 (H, W)."""
    reach = max(6, round(_CLEARANCE * min(tissue.shape) / 1024))
    near = cv2.dilate(tissue.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8))
    return np.asarray(1 - near, dtype=np.float32)
