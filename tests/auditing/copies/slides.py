"""Drawn slides and what becomes of them, for the tests of copies."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from tilewise.auditing.copies import Fingerprint, measure_fingerprint
from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.plan import plan_cohort
from tilewise.synthetic.slide import DrawnSlide, draw_slide
from tilewise.tissue import tissue_mask

NUM_SLIDES = 5


@cache
def slide(index: int) -> DrawnSlide:
    config = SynthConfig(num_slides=20, seed=31)
    return draw_slide(config, plan_cohort(config)[index])


def fingerprint(rgb: np.ndarray) -> Fingerprint:
    return measure_fingerprint(np.ascontiguousarray(rgb), tissue_mask(np.ascontiguousarray(rgb)))


@cache
def clean() -> dict[str, Fingerprint]:
    return {f"slide {index}": fingerprint(slide(index).rgb) for index in range(NUM_SLIDES)}


def with_blob(index: int, *, share: float) -> np.ndarray:
    """A flat disc over the middle of the tissue, as large as covers `share` of it."""
    drawn = slide(index)
    y, x = np.nonzero(drawn.tissue)
    middle = np.argsort(x + y)[len(x) // 2]
    away = np.hypot(x - x[middle], y - y[middle])
    radius = int(np.quantile(away, share))
    return cv2.circle(drawn.rgb.copy(), (int(x[middle]), int(y[middle])), radius, (30, 160, 60), -1, cv2.LINE_AA)
