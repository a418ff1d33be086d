"""Slides enter the network's square and come back in place."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tilewise.segment.square import Square
from tilewise.units import Size


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([64, 96]))
def test_the_square_is_full_and_the_slide_comes_back_in_its_size(width, height, side):
    square = Square(Size(width, height), side)
    rgb = np.full((height, width, 3), 77, np.uint8)
    entered = square.enter(rgb)
    assert entered.shape == (side, side, 3)
    assert (entered == 77).all()
    assert max(square.inner) == side
    assert square.leave(np.ones((side, side), np.float32)).shape == (height, width)


def test_a_mask_comes_back_where_it_was():
    mask = np.zeros((300, 150), bool)
    mask[90:210, 30:75] = True
    square = Square(Size(150, 300), 64)
    back = square.leave(square.enter_mask(mask).astype(np.float32)) >= 0.5
    assert 2 * (back & mask).sum() / (back.sum() + mask.sum()) > 0.95


def test_beside_a_narrow_slide_stands_its_mirror_image():
    rgb = np.zeros((64, 16, 3), np.uint8)
    rgb[:, 8:] = 200
    entered = Square(Size(16, 64), 64).enter(rgb)
    assert entered[0, :, 0].tolist() == ([0] * 8 + [200] * 16 + [0] * 8) * 2
