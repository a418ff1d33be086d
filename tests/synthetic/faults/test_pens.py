import cv2
import numpy as np
import pytest

from tilewise.synthetic.faults.pens import PEN_FAMILIES, draw_pen
from tilewise.synthetic.slide import DrawnSlide


@pytest.mark.parametrize("family", PEN_FAMILIES)
def test_marks_glass_and_leaves_tissue_alone(slide: DrawnSlide, family: str) -> None:
    near = cv2.dilate(slide.tissue.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    marked = 0
    for seed in range(6):
        rgb = draw_pen(np.random.default_rng(seed), slide.rgb, tissue=slide.tissue, family=family)
        changed = (rgb != slide.rgb).any(axis=2)
        assert not changed[near].any()
        assert changed.mean() < 0.2
        marked += bool(changed.any())
    assert marked >= 5
