"""Slides that resemble another and are no copy of it: its neighbouring section, and a stranger with its outline."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.synthetic.faults.copies import shift_stain
from tilewise.synthetic.faults.glass import Mask, Rgb, fill_glass, mix
from tilewise.synthetic.fields import Field, smooth_field
from tilewise.synthetic.optics import draw_appearance, draw_glass, scan, shine_through
from tilewise.synthetic.slide import DrawnSlide
from tilewise.synthetic.texture import Tissue, TumourAppearance, paint_duct, paint_fat, paint_stroma, paint_tumour
from tilewise.units import Size

# Structures as wide as a few cells of this grid, in pixels, run on into the next section; what is finer is cut anew.
_GRID = 4
_NUM_SHIFTS = 40


def draw_section(rng: np.random.Generator, slide: DrawnSlide) -> DrawnSlide:
    """The next section of the same block: the same cores and zones, bent otherwise, with other cells, stained anew.

    The tissue is bent elastically as a whole. Its coarse structures stay where they are; nuclei and fibres are those of
    tissue a few nuclei further on, so that few find their like.
    """
    shape = (slide.tissue.shape[0], slide.tissue.shape[1])
    x, y = _bend(rng, shape)
    tissue = _take(slide.tissue.astype(np.float32), x, y)
    glass = cv2.convertScaleAbs(fill_glass(rng, slide.rgb, tissue=slide.tissue))
    alone = mix(glass, slide.rgb.astype(np.float32), _soft(slide.tissue))
    cut = _cut_anew(rng, _take(alone, x, y).astype(np.uint8))
    strengths = rng.uniform(0.88, 1.14, 3)
    rgb = shift_stain(cut, strengths=strengths, shifts=np.zeros(3))
    look = draw_appearance(rng)
    # A trembling of the axis and a little trimming: the region is marked anew on every section.
    mask = cv2.GaussianBlur(_take(slide.mask.astype(np.float32), x, y), (0, 0), 2.0) > rng.uniform(0.4, 0.6)
    return DrawnSlide(scan(rng, rgb.astype(np.float32), look), mask & (tissue > 0.5), tissue > 0.5)


def draw_stranger(rng: np.random.Generator, slide: DrawnSlide, *, look: TumourAppearance) -> DrawnSlide:
    """Other tissue in exactly the outline of a slide: never a pair with it.

    Args:
        rng: of the tissue, its staining and its glass.
        slide: whose `tissue` is taken over, and nothing else.
        look: of the tumour in it.
    """
    height, width = slide.tissue.shape
    upright = height > width
    outline = slide.tissue.T if upright else slide.tissue
    tissue, region = _paint_sheet(rng, outline, look)
    layers = [tissue.haematoxylin, tissue.eosin, tissue.cover, region.astype(np.float32)]
    haematoxylin, eosin, cover, marked = (np.ascontiguousarray(layer.T if upright else layer) for layer in layers)
    stain = draw_appearance(rng)
    picture = draw_glass(rng, Size(width, height), stain)
    dyes = cv2.GaussianBlur(_soft(slide.tissue) * cover, (0, 0), stain.blur_px)
    shine_through(picture, haematoxylin * dyes, eosin * dyes, stain)
    return DrawnSlide(scan(rng, picture, stain), (marked > 0.5) & slide.tissue, slide.tissue)


def _paint_sheet(rng: np.random.Generator, outline: Mask, look: TumourAppearance) -> tuple[Tissue, Mask]:
    """A sheet of stroma with zones on it wherever the outline has room; fibres run along x."""
    shape = (outline.shape[0], outline.shape[1])
    tissue = Tissue(*(np.zeros(shape, np.float32) for _ in range(3)))
    paint_stroma(tissue, rng)
    region = np.zeros(shape, dtype=bool)
    depth = cv2.distanceTransform(outline.astype(np.uint8), cv2.DIST_L2, 5)
    for index in range(int(rng.integers(6, 13))):
        deep = np.flatnonzero(depth > 0.6 * depth.max())
        if not len(deep):
            break
        y, x = divmod(int(deep[rng.integers(len(deep))]), shape[1])
        half_width = float(depth[y, x]) * rng.uniform(0.9, 1.3) + 6.0
        within, rows, columns = _zone(rng, shape, (x, y), (half_width * rng.uniform(1.2, 2.2), half_width))
        window = tissue.window(rows, columns)
        if index < 2 or rng.random() < 0.4:
            paint_tumour(window, rng, within, look)
            region[rows, columns] |= within > 0.5
        elif rng.random() < 0.5:
            paint_duct(window, rng, within)
        else:
            paint_fat(window, rng, within)
        # No second zone on top of this one.
        depth[rows, columns] = 0.0
    return tissue, region


def _zone(
    rng: np.random.Generator, shape: tuple[int, int], middle: tuple[int, int], half: tuple[float, float]
) -> tuple[Field, slice, slice]:
    left, top = max(0, int(middle[0] - half[0])), max(0, int(middle[1] - half[1]))
    right, bottom = min(shape[1], int(middle[0] + half[0]) + 1), min(shape[0], int(middle[1] + half[1]) + 1)
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
    inside = 1.0 - np.sqrt(((x - middle[0]) / half[0]) ** 2 + ((y - middle[1]) / half[1]) ** 2)
    inside += 0.08 * smooth_field(rng, (bottom - top, right - left), 14.0, 12.0)
    return np.asarray(np.clip(inside * 5.0, 0.0, 1.0), np.float32), slice(top, bottom), slice(left, right)


def _bend(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Field, Field]:
    """Where each pixel of the next section comes from: shifted and turned a little, and bent at two scales."""
    height, width = shape
    unit = min(shape) / 1024
    y, x = np.mgrid[:height, :width].astype(np.float32)
    turn = np.deg2rad(rng.uniform(-2.0, 2.0))
    from_x, from_y = x - width / 2, y - height / 2
    x, y = from_x * np.cos(turn) - from_y * np.sin(turn), from_x * np.sin(turn) + from_y * np.cos(turn)
    x += np.float32(width / 2 + rng.uniform(-12, 12) * unit)
    y += np.float32(height / 2 + rng.uniform(-12, 12) * unit)
    for sigma, amount in ((110.0 * unit, 9.0 * unit), (28.0 * unit, 2.5 * unit)):
        x += amount * smooth_field(rng, shape, sigma, sigma)
        y += amount * smooth_field(rng, shape, sigma, sigma)
    return x.astype(np.float32), y.astype(np.float32)


def _cut_anew(rng: np.random.Generator, plain: Rgb) -> Rgb:
    """Replace every place by one some nuclei off that looks alike when seen from afar."""
    height, width = plain.shape[:2]
    size = (max(2, width // _GRID), max(2, height // _GRID))
    coarse = cv2.GaussianBlur(cv2.resize(plain, size, interpolation=cv2.INTER_AREA).astype(np.float32), (0, 0), 1.0)
    shape = (size[1], size[0])
    least = np.full(shape, np.inf, np.float32)
    shift_x, shift_y = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for _ in range(_NUM_SHIFTS):
        turn, away = rng.uniform(0, 2 * np.pi), rng.uniform(2.6, 10.0)
        by_x, by_y = round(away * np.cos(turn)), round(away * np.sin(turn))
        moved = np.array([[1.0, 0.0, -by_x], [0.0, 1.0, -by_y]])
        other = cv2.warpAffine(coarse, moved, size, borderMode=cv2.BORDER_REPLICATE)
        differing = cv2.GaussianBlur(np.square(other - coarse).sum(axis=2), (0, 0), 2.0)
        better = differing < least
        least[better], shift_x[better], shift_y[better] = differing[better], by_x * _GRID, by_y * _GRID
    # Where places from two directions meet, the border is ragged, not along the grid.
    y, x = np.mgrid[:height, :width].astype(np.float32)
    at_x = x / _GRID + 0.7 * smooth_field(rng, (height, width), 3.0, 3.0)
    at_y = y / _GRID + 0.7 * smooth_field(rng, (height, width), 3.0, 3.0)
    x += cv2.remap(shift_x, at_x, at_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    y += cv2.remap(shift_y, at_x, at_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(_take(plain, x, y), dtype=np.uint8)


def _take(layer: npt.NDArray[Any], x: Field, y: Field) -> npt.NDArray[Any]:
    return np.asarray(cv2.remap(layer, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _soft(tissue: Mask) -> Field:
    return np.asarray(cv2.GaussianBlur(cv2.dilate(tissue.astype(np.float32), np.ones((3, 3))), (0, 0), 0.8), np.float32)
