import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewise.units import Box, Size

sizes = st.builds(Size, st.integers(1, 300), st.integers(1, 300))
boxes = st.builds(Box, st.integers(-400, 400), st.integers(-400, 400), st.integers(1, 400), st.integers(1, 400))


@given(boxes, sizes)
def test_clip_is_the_set_of_pixels_both_share(box, size):
    clipped = box.clip(size)
    columns = set(range(box.x, box.right)) & set(range(size.width))
    rows = set(range(box.y, box.bottom)) & set(range(size.height))
    if clipped is None:
        assert not columns or not rows
    else:
        assert set(range(clipped.x, clipped.right)) == columns
        assert set(range(clipped.y, clipped.bottom)) == rows


@given(boxes, sizes)
def test_shift_inside_keeps_the_size_where_it_fits_and_moves_no_more_than_needed(box, size):
    moved = box.shift_inside(size)
    assert moved.inside(size)
    assert (moved.width, moved.height) == (min(box.width, size.width), min(box.height, size.height))
    if box.inside(size):
        assert moved == box


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (-1, 5)])
def test_a_box_without_area_is_refused(width, height):
    with pytest.raises(ValueError, match="positive width and height"):
        Box(0, 0, width, height)


def test_around_centres_x_with_width_and_y_with_height():
    assert Box.around(100, 50, Size(20, 60)) == Box(90, 20, 20, 60)
