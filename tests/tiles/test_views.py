import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tilewise.tiles.views import random_view_tiles, view_generator

masks = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40).flatmap(lambda s: hnp.arrays(bool, s))


def draw(mask, side, *, num=10, min_ratio=0.0, seed=0, slide="a", epoch=0):
    generator = view_generator(seed, slide, epoch)
    return random_view_tiles(mask, side, num=num, min_ratio=min_ratio, generator=generator)


def every(mask, side, min_ratio):
    """All tiles around pixels of the mask, pixel by pixel."""
    height, width = mask.shape
    w, h = min(side, width), min(side, height)
    tiles = set()
    for y, x in np.argwhere(mask).tolist():
        left, top = min(max(x - side // 2, 0), width - w), min(max(y - side // 2, 0), height - h)
        if mask[top : top + h, left : left + w].mean() >= min_ratio:
            tiles.add((left, top, w, h))
    return tiles


@given(masks, st.integers(1, 30), st.integers(1, 30), st.sampled_from([0.0, 0.25, 0.6, 1.0]))
def test_as_many_as_asked_for_or_all_there_are_each_around_a_pixel_of_the_mask(mask, side, num, ratio):
    boxes, ratios = draw(mask, side, num=num, min_ratio=ratio)
    possible = every(mask, side, ratio)
    drawn = [tuple(box) for box in boxes.tolist()]
    assert len(set(drawn)) == len(drawn) == min(num, len(possible))
    assert set(drawn) <= possible
    for (x, y, w, h), share in zip(drawn, ratios, strict=True):
        assert share == pytest.approx(mask[y : y + h, x : x + w].mean())


@given(masks, st.integers(1, 20))
def test_the_first_of_many_are_the_same_as_few(mask, side):
    few, _ = draw(mask, side, num=3)
    many, _ = draw(mask, side, num=12)
    assert many[:3].tolist() == few.tolist()


def test_slides_epochs_and_seeds_differ_and_the_same_are_the_same():
    mask = np.ones((200, 300), bool)
    first = draw(mask, 20)[0].tolist()
    assert first == draw(mask, 20)[0].tolist()
    assert first != draw(mask, 20, epoch=1)[0].tolist()
    assert first != draw(mask, 20, seed=1)[0].tolist()
    assert first != draw(mask, 20, slide="b")[0].tolist()


def test_pixels_are_drawn_evenly():
    mask = np.zeros((300, 600), bool)
    mask[50:250, 100:200] = True
    mask[50:250, 400:500] = True
    boxes, _ = draw(mask, 2, num=2000)
    assert 0.45 < (boxes[:, 0] < 300).mean() < 0.55
    assert 0.45 < (boxes[:, 1] < 150).mean() < 0.55


def test_rare_places_with_enough_mask_are_found():
    mask = np.zeros((400, 500), bool)
    mask[::2, ::2] = True
    mask[300:320, 400:420] = True
    boxes, ratios = draw(mask, 10, num=5, min_ratio=1.0)
    assert len(boxes) == 5
    assert (ratios == 1.0).all()
    assert ((boxes[:, 0] >= 398) & (boxes[:, 1] >= 298)).all()
