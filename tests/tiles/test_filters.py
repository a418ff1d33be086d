import cv2
import numpy as np
import pytest

from tests.tiles.test_strategies import planned
from tilewise.tiles.config import TileConfig
from tilewise.tiles.filters import in_focus, not_blank, sharpness, unlike_earlier


def reads(slide):
    return lambda box: slide[box.rows, box.columns]


def texture(seed, size=128, blur=1.0):
    noise = np.random.default_rng(seed).normal(150, 60, (size, size, 3))
    return np.clip(cv2.GaussianBlur(noise, (0, 0), blur) * 1.0, 0, 255).astype(np.uint8)


def test_blank_tiles_are_told_by_their_share_of_tissue():
    tissue = np.zeros((40, 80), bool)
    tissue[:, :10] = True
    boxes = np.array([[0, 0, 20, 20], [10, 0, 20, 20], [5, 0, 20, 20]])
    assert not_blank(boxes, tissue, 0.25).tolist() == [True, False, True]


def test_blurred_tiles_are_less_sharp_whatever_their_contrast():
    sharp = texture(0)
    faint = (200 + (sharp.astype(float) - 150) * 0.3).clip(0, 255).astype(np.uint8)
    soft = cv2.GaussianBlur(sharp, (0, 0), 4.0)
    assert sharpness(sharp) > 0.5
    assert sharpness(faint) == pytest.approx(sharpness(sharp), rel=0.15)
    assert sharpness(soft) is None or sharpness(soft) < 0.3
    assert sharpness(np.full((64, 64, 3), 240, np.uint8)) is None
    slide = np.concatenate([sharp, cv2.GaussianBlur(texture(1, blur=3.0), (0, 0), 3.0)], axis=1)
    slide[:, 128:] = ((slide[:, 128:].astype(float) - 150) * 6 + 150).clip(0, 255).astype(np.uint8)
    boxes = np.array([[0, 0, 128, 128], [128, 0, 128, 128]])
    assert in_focus(boxes, reads(slide), 0.4).tolist() == [True, False]


def test_near_duplicates_go_and_the_first_of_them_stays():
    one, two = texture(0, blur=6.0), texture(1, blur=6.0)
    brighter = np.clip(one.astype(int) + 20, 0, 255).astype(np.uint8)
    flat = np.full_like(one, 240)
    slide = np.concatenate([one, two, brighter, flat, flat], axis=1)
    boxes = np.array([[128 * index, 0, 128, 128] for index in range(5)])
    assert unlike_earlier(boxes, reads(slide), 0.98).tolist() == [True, True, False, True, False]
    assert unlike_earlier(boxes[:2], reads(slide), 0.98).all()


def test_many_tiles_are_compared_with_all_that_are_kept():
    noise = np.random.default_rng(0).integers(0, 255, (20, 20 * 700, 3), np.uint8)
    slide = np.concatenate([noise, noise], axis=1)
    boxes = np.array([[20 * index, 0, 20, 20] for index in range(1400)])
    distinct = unlike_earlier(boxes, reads(slide), 0.98)
    assert distinct[:700].all()
    assert not distinct[700:].any()


def test_what_filters_take_is_counted_and_a_slide_that_loses_all_says_why(monkeypatch):
    mask = np.zeros((64, 96), bool)
    mask[:32, :48] = True
    config = TileConfig(size_px=16, min_mask_ratio=0.0, min_tissue_ratio=0.9, mask_dilation_px=10)
    plan, _ = planned(mask, config, monkeypatch)
    assert plan.dropped["blank"] > 0
    assert (plan.rows.ratios > 0).all()
    assert (plan.rows.boxes[:, 0] < 48).all()
    nothing = TileConfig(size_px=16, min_tissue_ratio=1.0, min_mask_ratio=0.0, fallback="exclude")
    speck = np.zeros((64, 96), bool)
    speck[3, 3] = True
    plan, _ = planned(speck, nothing, monkeypatch)
    assert not len(plan.rows)
    assert "1 blank dropped" in plan.reason
