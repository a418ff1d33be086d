"""How two slides of a finding lie on each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tilewise.auditing.copies import find_pairs
from tilewise.auditing.facts import FactsRequest, MeasuredSlide, measure_slide
from tilewise.cohort import Slide
from tilewise.slides import open_slide, overview_factor, overview_size
from tilewise.units import Size
from tilewise.valid import valid_field


@dataclass(frozen=True)
class Overlay:
    """How the second of two slides is laid onto the first.

    Attributes:
        relation: of the two: equal pixels, a copy, a section, or nothing that the audit can lay onto the other.
        words: how the first lies on the second, in words.
        matrix: from level-0 pixels of the second to those of the first, (2, 3) row by row; where there is no relation
            it only scales the second to the first one's width.
    """

    relation: Literal["equal", "copy", "section", "none"]
    words: str
    matrix: tuple[float, ...]


def lay_on(one: Slide, two: Slide, *, max_pixels: int) -> Overlay:
    """Find the transform as the audit does, from what it measured of both slides.

    Raises:
        SlideError: a slide cannot be read.
    """
    measured = [measure_slide(FactsRequest(slide, max_pixels)) for slide in (one, two)]
    sizes = [item.facts.size for item in measured]
    if measured[0].facts.pixel_digest == measured[1].facts.pixel_digest:
        return Overlay("equal", "all pixels are equal", (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    pairs = find_pairs({"one": measured[0].fingerprint, "two": measured[1].fingerprint})
    if not pairs:
        scale = sizes[0].width / sizes[1].width
        words = "different tissue: neither can be laid onto the other"
        return Overlay("none", words, (scale, 0.0, 0.0, 0.0, scale, 0.0))
    (pair,) = pairs
    corners = [_corner(slide, item, max_pixels) for slide, item in zip((one, two), measured, strict=True)]
    forward = np.vstack([np.reshape(pair.matrix, (2, 3)), [0, 0, 1]])
    reduced = _shift(corners[0]) @ np.linalg.inv(forward) @ np.linalg.inv(_shift(corners[1]))
    # Large slides are compared by their overviews.
    one_factor, two_factor = map(overview_factor, sizes)
    whole = np.diag([one_factor, one_factor, 1.0]) @ reduced @ np.diag([1 / two_factor, 1 / two_factor, 1.0])
    return Overlay(pair.relation, pair.transform, tuple(whole[:2].ravel().tolist()))


def _corner(slide: Slide, measured: MeasuredSlide, max_pixels: int) -> tuple[int, int]:
    """Where what was measured begins, in pixels of the overview: slides are compared without their padding."""
    if Size(*map(int, measured.fingerprint.size)) == overview_size(measured.facts.size):
        return 0, 0
    with open_slide(slide.path, max_pixels=max_pixels) as reader:
        box = valid_field(reader.overview()).box
    return box.x, box.y


def _shift(corner: tuple[int, int]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array([[1.0, 0.0, corner[0]], [0.0, 1.0, corner[1]], [0.0, 0.0, 1.0]])
