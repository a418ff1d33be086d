from __future__ import annotations

import numpy as np
import pytest

from tests.auditing.ink.ink_slides import drawn_slide, with_blob, with_pen
from tilewise.auditing.ink import before_after, measure_ink, remove_ink
from tilewise.tissue import tissue_mask

COLOURS = ("green", "blue", "red", "yellow", "black")


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("at", [(0.45, 0.55), (0.55, 0.72)])
def test_repair_takes_the_blob_out_and_leaves_the_tissue(colour: str, at: tuple[float, float]) -> None:
    slide = drawn_slide(1)
    rgb, alpha = with_blob(slide, colour, at=at, opacity=0.85)
    repaired = remove_ink(rgb, slide.mask)
    assert repaired.mask is not None
    blob = alpha >= 0.05
    near = np.abs(repaired.rgb.astype(int) - slide.rgb).max(axis=2) <= 10
    assert ((blob & repaired.ink & ~repaired.mask) | (blob & near)).sum() >= 0.99 * blob.sum()
    untouched = slide.tissue & (alpha == 0)
    assert (repaired.rgb != rgb).any(axis=2)[untouched].mean() <= 0.02
    assert (slide.mask & untouched & ~repaired.mask).sum() <= 0.02 * untouched.sum()
    on_glass = blob & ~slide.tissue
    assert near[on_glass].mean() > 0.98
    lost = blob[slide.tissue].mean()
    # What lies under the blob is carried on from around it: a guess.
    assert repaired.tissue_lost == pytest.approx(lost, abs=0.06)


def test_only_ink_is_changed() -> None:
    slide = drawn_slide(2)
    rgb, _ = with_blob(slide, "green")
    before = rgb.copy()
    repaired = remove_ink(rgb, slide.mask)
    assert repaired.mask is not None
    assert np.array_equal(rgb, before)
    assert np.array_equal(repaired.rgb[~repaired.ink], rgb[~repaired.ink])
    assert np.array_equal(repaired.mask, slide.mask & ~repaired.ink)
    assert repaired.filled_share == pytest.approx(repaired.ink.mean(), abs=1e-6)
    again = remove_ink(rgb, slide.mask)
    assert np.array_equal(again.rgb, repaired.rgb)


def test_no_ink_is_left_to_find() -> None:
    slide = drawn_slide(3)
    for colour in COLOURS:
        repaired = remove_ink(with_blob(slide, colour)[0], slide.mask)
        assert measure_ink(repaired.rgb, tissue_mask(repaired.rgb), repaired.mask).spots == ()


def test_filled_glass_is_grained_like_glass() -> None:
    slide = drawn_slide(4)
    rgb, alpha = with_blob(slide, "green", at=(0.5, 0.83), radius=0.09)
    repaired = remove_ink(rgb, None)
    assert repaired.mask is None
    filled = alpha > 0.5
    detail = repaired.rgb[:, :, 1].astype(float) - slide.rgb[:, :, 1]
    assert 0.8 < detail[filled].std() < 2.5


def test_clean_slides_and_pens_are_left_alone() -> None:
    slide = drawn_slide(5)
    for rgb in (slide.rgb, with_pen(slide, "blue")):
        repaired = remove_ink(rgb, slide.mask)
        assert np.array_equal(repaired.rgb, rgb)
        assert repaired.mask is not None
        assert np.array_equal(repaired.mask, slide.mask)
        assert (repaired.tissue_lost, repaired.filled_share) == (0.0, 0.0)


def test_inpainting_is_a_matter_of_display() -> None:
    slide = drawn_slide(6)
    rgb, alpha = with_blob(slide, "green", at=(0.45, 0.5), radius=0.1)
    plain, drawn = remove_ink(rgb, slide.mask), remove_ink(rgb, slide.mask, inpaint=True)
    assert plain.mask is not None
    assert drawn.mask is not None
    assert np.array_equal(plain.mask, drawn.mask)
    inside = (alpha > 0.5) & slide.tissue
    assert drawn.rgb[inside][:, 1].mean() < plain.rgb[inside][:, 1].mean() - 30
    green = drawn.rgb[inside].astype(int)
    assert (green[:, 1] - green[:, [0, 2]].max(axis=1)).max() < 20


def test_a_field_without_glass_is_repaired_too() -> None:
    slide = drawn_slide(7, height=600, width=900)
    rows = slice(250, 346)
    field = type(slide)(slide.rgb[rows, 250:378], slide.tissue[rows, 250:378], slide.mask[rows, 250:378])
    rgb, alpha = with_blob(field, "green", radius=0.2, glossy=False, halo=0.0)
    repaired = remove_ink(rgb, field.mask)
    assert repaired.ink[alpha > 0.3].mean() > 0.97
    assert repaired.rgb[repaired.ink].min() > 150


def test_before_and_after_are_drawn_side_by_side() -> None:
    slide = drawn_slide(8)
    rgb, _ = with_blob(slide, "green")
    picture = before_after(rgb, remove_ink(rgb, slide.mask), 300, mask=slide.mask)
    assert picture.dtype == np.uint8
    assert max(picture.shape) <= 2 * 300 + 8
    assert (picture == (255, 140, 0)).all(axis=2).any()
