import cv2
import numpy as np
import pytest

from tilewise.synthetic.faults.sections import draw_section, draw_stranger
from tilewise.synthetic.slide import DrawnSlide
from tilewise.synthetic.texture import TumourAppearance


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def grey(rgb: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), sigma)


@pytest.mark.parametrize("seed", range(3))
def test_neighbouring_section_shares_the_gross_shape_and_no_cell(slide: DrawnSlide, seed: int) -> None:
    section = draw_section(np.random.default_rng(seed), slide)
    assert section.rgb.shape == slide.rgb.shape
    assert 0.4 < overlap(section.tissue, slide.tissue) < 0.995
    assert section.mask.any()
    assert not (section.mask & ~section.tissue).any()
    # Brought into register as well as a shift can, fine detail is another and coarse detail alike.
    both = (section.tissue & slide.tissue).astype(np.uint8)
    inner = cv2.erode(both, np.ones((9, 9))) > 0
    mine, its = grey(slide.rgb, 0.1), grey(section.rgb, 0.1)
    best = max(
        np.corrcoef(
            (mine - grey(slide.rgb, 3))[inner],
            np.roll(its - grey(section.rgb, 3), (y, x), axis=(0, 1))[inner],
        )[0, 1]
        for y in range(-9, 10, 3)
        for x in range(-9, 10, 3)
    )
    assert best < 0.35


@pytest.mark.parametrize("seed", range(3))
def test_stranger_has_the_outline_and_not_the_pixels(slide: DrawnSlide, seed: int) -> None:
    stranger = draw_stranger(np.random.default_rng(seed), slide, look=TumourAppearance.of((0.3,) * 6))
    np.testing.assert_array_equal(stranger.tissue, slide.tissue)
    assert overlap(stranger.mask, slide.mask) < 0.8
    assert not (stranger.mask & ~stranger.tissue).any()
    inner = cv2.erode(slide.tissue.astype(np.uint8), np.ones((15, 15))) > 0
    same = np.corrcoef(grey(slide.rgb, 1)[inner], grey(stranger.rgb, 1)[inner])[0, 1]
    assert abs(same) < 0.25
    # It is tissue: darker than its glass all over the outline.
    assert stranger.rgb[inner][:, 1].mean() < stranger.rgb[~slide.tissue][:, 1].mean() - 25


def test_same_seed_same_pixels(slide: DrawnSlide) -> None:
    one, two = (draw_section(np.random.default_rng(4), slide) for _ in range(2))
    np.testing.assert_array_equal(one.rgb, two.rgb)
    np.testing.assert_array_equal(one.mask, two.mask)
