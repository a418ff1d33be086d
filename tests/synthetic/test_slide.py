from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.plan import PlannedSlide, plan_cohort
from tilewise.synthetic.slide import DrawnSlide, draw_slide

SMALL = SynthConfig(num_slides=96, min_side_px=256, difficulty=0.0)


@pytest.fixture(scope="module")
def drawn() -> list[tuple[PlannedSlide, DrawnSlide]]:
    return [(planned, draw_slide(SMALL, planned)) for planned in plan_cohort(SMALL).values()]


def test_same_plan_same_bytes() -> None:
    planned = plan_cohort(SMALL)[5]
    first, second = draw_slide(SMALL, planned), draw_slide(SMALL, planned)
    np.testing.assert_array_equal(first.rgb, second.rgb)
    np.testing.assert_array_equal(first.mask, second.mask)
    other = draw_slide(SMALL, plan_cohort(SMALL.model_copy(update={"seed": 1}))[5])
    assert other.rgb.shape != first.rgb.shape or (other.rgb != first.rgb).mean() > 0.05


def test_threads_change_nothing() -> None:
    planned = plan_cohort(SMALL)[3]
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        single = draw_slide(SMALL, planned)
        cv2.setNumThreads(4)
        several = draw_slide(SMALL, planned)
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(single.rgb, several.rgb)


def test_masks_are_several_regions_within_the_cores(drawn: list[tuple[PlannedSlide, DrawnSlide]]) -> None:
    for _, slide in drawn:
        assert slide.rgb.dtype == np.uint8
        assert slide.mask.dtype == bool
        assert slide.rgb.shape[:2] == slide.mask.shape == slide.tissue.shape
        assert min(slide.mask.shape) == 256
        assert not (slide.mask & ~slide.tissue).any()
        num, _, stats, _ = cv2.connectedComponentsWithStats(slide.mask.astype(np.uint8))
        assert num - 1 >= 2
        assert stats[1:, cv2.CC_STAT_AREA].min() >= 80
        assert 0.01 < slide.mask.mean() < 0.2


def test_slides_are_pink_cores_on_grey_white_glass(drawn: list[tuple[PlannedSlide, DrawnSlide]]) -> None:
    for _, slide in drawn:
        away = ~cv2.dilate(slide.tissue.astype(np.uint8), np.ones((7, 7))).astype(bool)
        # Small slides are fuller of tissue than large ones.
        assert 0.25 < away.mean() < 0.98
        glass = np.median(slide.rgb[away], axis=0)
        assert glass.min() > 210
        red, green, blue = slide.rgb[slide.tissue].mean(axis=0)
        assert red > blue > green
        assert green < glass[1] - 35


def test_the_label_changes_nothing_outside_the_regions() -> None:
    """The same slide with another class's latents: same mask, and same bytes beyond the blocks of the compression."""
    plan = plan_cohort(SMALL)
    for index in range(6):
        planned = plan[index]
        donor = next(slide for slide in plan.values() if slide.label != planned.label)
        other = draw_slide(SMALL, replace(planned, label=donor.label, latents=donor.latents, unit=donor.unit))
        own = draw_slide(SMALL, planned)
        np.testing.assert_array_equal(own.mask, other.mask)
        changed = (own.rgb != other.rgb).any(axis=2)
        assert changed[own.mask].mean() > 0.3
        assert not (changed & ~_blocks_touching(own.mask)).any()


def test_signal_of_the_shape_is_in_the_mask_alone() -> None:
    config = SMALL.model_copy(update={"signal": "mask_shape"})
    plan = plan_cohort(config)
    planned, donor = plan[0], next(slide for slide in plan.values() if slide.label != plan[0].label)
    own = draw_slide(config, planned)
    other = draw_slide(config, replace(planned, label=donor.label, latents=donor.latents, unit=donor.unit))
    np.testing.assert_array_equal(own.rgb, other.rgb)
    assert (own.mask != other.mask).sum() > 0.2 * own.mask.sum()


def test_regions_tell_the_class_and_the_rest_does_not(drawn: list[tuple[PlannedSlide, DrawnSlide]]) -> None:
    labels = np.array([planned.label for planned, _ in drawn])
    inside = np.array([_colours(slide.rgb, slide.mask) for _, slide in drawn])
    outside = np.array([_colours(slide.rgb, slide.tissue & ~_blocks_touching(slide.mask)) for _, slide in drawn])
    # One guess in four is right without signal; with 96 slides three standard errors are 0.13.
    assert _score(inside, labels) > 0.65
    assert _score(outside, labels) < 0.25 + 0.13


def test_outlines_tell_the_class_where_the_shape_carries_the_signal() -> None:
    config = SynthConfig(num_slides=64, min_side_px=256, difficulty=0.0, signal="mask_shape")
    slides = [(planned, draw_slide(config, planned)) for planned in plan_cohort(config).values()]
    labels = np.array([planned.label for planned, _ in slides])
    assert _score(np.array([_shape(slide.mask) for _, slide in slides]), labels) > 0.5
    assert _score(np.array([_colours(slide.rgb, slide.tissue) for _, slide in slides]), labels) < 0.25 + 0.16


def test_shape_says_nothing_where_the_texture_does(drawn: list[tuple[PlannedSlide, DrawnSlide]]) -> None:
    labels = np.array([planned.label for planned, _ in drawn])
    assert _score(np.array([_shape(slide.mask) for _, slide in drawn]), labels) < 0.25 + 0.13


def _blocks_touching(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """JPEG blocks (16 pixels, as colour is halved) that the mask touches, and what blur and smoothing add."""
    blocks = np.zeros_like(mask)
    for y in range(0, mask.shape[0], 16):
        for x in range(0, mask.shape[1], 16):
            blocks[y : y + 16, x : x + 16] = mask[y : y + 16, x : x + 16].any()
    return cv2.dilate(blocks.astype(np.uint8), np.ones((9, 9))).astype(bool)


def _colours(rgb: npt.NDArray[np.uint8], where: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    fine = np.abs(rgb.astype(float) - cv2.GaussianBlur(rgb, (0, 0), 1.5))
    pixels = rgb[where].astype(float)
    return np.concatenate([
        pixels.mean(axis=0), pixels.std(axis=0), fine[where].mean(axis=0), *np.percentile(pixels, (10, 50, 90), axis=0),
    ])  # fmt: skip


def _shape(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    rows = []
    for contour in contours:
        area, length = cv2.contourArea(contour) + 1.0, cv2.arcLength(contour, closed=True)
        _, sides, _ = cv2.minAreaRect(contour)
        hull = cv2.contourArea(cv2.convexHull(contour)) + 1.0
        rows.append([np.log(area), length**2 / area, area / hull, max(sides) / (min(sides) + 1.0), min(sides)])
    return np.concatenate([np.median(rows, axis=0), np.mean(rows, axis=0)])


def _score(features: npt.NDArray[np.float64], labels: npt.NDArray[np.str_]) -> float:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=3000))
    scores = [
        balanced_accuracy_score(
            labels, cross_val_predict(model, features, labels, cv=StratifiedKFold(4, shuffle=True, random_state=seed))
        )
        for seed in range(3)
    ]
    return float(np.mean(scores))
