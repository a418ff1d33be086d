"""Slides without a foreign object, and yet of no use: blank, blurred, badly exposed, nearly without tissue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np

from tilewise.synthetic.faults.glass import Mask, Rgb, fill_glass, mix
from tilewise.synthetic.faults.pens import draw_pen
from tilewise.synthetic.slide import DrawnSlide

_EDGE_PX = 5


def draw_quality(rng: np.random.Generator, slide: DrawnSlide, *, kind: str, family: str) -> DrawnSlide:
    """Spoil a slide.

    Args:
        rng: of how badly.
        slide: a good one.
        kind: one of the keys of `QUALITY_FAMILIES`.
        family: one of its families.

    Returns:
        The slide with its mask; on blank glass the mask is empty, of a remnant it marks what is left.
    """
    if kind == "blank":
        return _blank(rng, slide, family)
    if kind == "tissue-area":
        return _remnant(rng, slide)
    return DrawnSlide(_SPOILED[kind][family](rng, slide.rgb), slide.mask, slide.tissue)


def _blank(rng: np.random.Generator, slide: DrawnSlide, family: str) -> DrawnSlide:
    nothing = np.zeros_like(slide.tissue)
    if family == "white":
        return DrawnSlide(np.full_like(slide.rgb, int(rng.integers(240, 256))), nothing, nothing)
    rgb = erase(rng, slide.rgb, tissue=slide.tissue, what=slide.tissue)
    if family == "dusty":
        rgb = draw_pen(rng, rgb, tissue=nothing, family="dust")
    return DrawnSlide(rgb, nothing, nothing)


def _remnant(rng: np.random.Generator, slide: DrawnSlide) -> DrawnSlide:
    """All tissue is lost but for a crumb about as large as a core is wide."""
    depth = cv2.distanceTransform(slide.tissue.astype(np.uint8), cv2.DIST_L2, 5)
    deep = np.flatnonzero(depth > 0.7 * depth.max())
    y, x = divmod(int(deep[rng.integers(len(deep))]), depth.shape[1])
    radius = max(6.0, float(depth[y, x]) * rng.uniform(0.35, 0.8))
    disc = np.zeros(slide.tissue.shape, np.uint8)
    cv2.ellipse(
        disc, (x, y), (int(radius), int(radius * rng.uniform(0.5, 1.0))), float(rng.uniform(0, 180)), 0, 360, 1, -1
    )
    left = (disc > 0) & slide.tissue
    rgb = erase(rng, slide.rgb, tissue=slide.tissue, what=slide.tissue & ~left)
    mask = cv2.erode(left.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return DrawnSlide(rgb, mask, left)


def erase(rng: np.random.Generator, rgb: Rgb, *, tissue: Mask, what: Mask) -> Rgb:
    """Put the slide's own glass where some of its tissue is."""
    remaining = tissue & ~what
    near = cv2.dilate(what.astype(np.uint8), np.ones((2 * _EDGE_PX + 1,) * 2, np.uint8)).astype(bool) & ~remaining
    alpha = np.maximum(near.astype(np.float32), what.astype(np.float32))
    return mix(rgb, fill_glass(rng, rgb, tissue=tissue), alpha)


def _gaussian(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    sigma = rng.uniform(3.5, 9.0) * min(rgb.shape[:2]) / 1024
    return _grained(rng, cv2.GaussianBlur(rgb, (0, 0), max(2.5, sigma)))


def _defocused(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    radius = max(4, round(rng.uniform(7.0, 15.0) * min(rgb.shape[:2]) / 1024))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2).astype(np.float32)
    return _grained(rng, cv2.filter2D(rgb, -1, disc / disc.sum()))


def _moved(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    length = max(15, round(rng.uniform(24.0, 45.0) * min(rgb.shape[:2]) / 1024))
    kernel = np.zeros((length, length), np.float32)
    turn, half = rng.uniform(0, np.pi), (length - 1) / 2
    ends = [(round(half + s * half * np.cos(turn)), round(half + s * half * np.sin(turn))) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    # Out of focus, too: what is sharp across the movement would still be in focus.
    return _grained(rng, cv2.GaussianBlur(cv2.filter2D(rgb, -1, kernel / kernel.sum()), (0, 0), 2.0))


def _grained(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    """The camera's noise comes after the blur."""
    noise = rng.normal(0.0, 0.8, rgb.shape[:2])[:, :, None]
    return np.asarray(np.clip(np.rint(rgb + noise), 0, 255), dtype=np.uint8)


def _underexposed(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    return np.asarray(np.rint(rgb * rng.uniform(0.12, 0.4)), dtype=np.uint8)


def _dark_gamma(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    levels = 255.0 * (np.arange(256) / 255.0) ** rng.uniform(5.0, 9.0) * rng.uniform(0.5, 0.75)
    return np.asarray(np.rint(levels)[rgb], dtype=np.uint8)


def _overexposed(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    return np.asarray(np.clip(np.rint(rgb * rng.uniform(1.35, 1.75)), 0, 255), dtype=np.uint8)


def _washed_out(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    return np.asarray(np.rint(255.0 - (255.0 - rgb.astype(np.float32)) * rng.uniform(0.06, 0.16)), dtype=np.uint8)


_SPOILED: Mapping[str, Mapping[str, Callable[[np.random.Generator, Rgb], Rgb]]] = MappingProxyType(
    {
        "blurred": {"gaussian": _gaussian, "defocused": _defocused, "moved": _moved},
        "dark": {"underexposed": _underexposed, "gamma": _dark_gamma},
        "bright": {"overexposed": _overexposed, "washed-out": _washed_out},
    }
)
QUALITY_FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "blank": ("glass", "white", "dusty"),
        **{kind: tuple(ways) for kind, ways in _SPOILED.items()},
        "tissue-area": ("remnant",),
    }
)
