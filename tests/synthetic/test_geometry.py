import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewise.synthetic.geometry import Core, draw_layout, outline, slide_to_strip, zone_outline
from tilewise.units import Size

layouts = st.builds(
    lambda seed, side: draw_layout(np.random.default_rng(seed), side),
    st.integers(0, 2**32),
    st.sampled_from([256, 384, 1024]),
)


@settings(deadline=None, max_examples=40)
@given(layouts)
def test_layout_has_cores_regions_and_a_lookalike(layout) -> None:
    assert min(layout.size) in (256, 384, 1024)
    assert 1 <= len(layout.cores) <= 4
    kinds = [zone.kind for zone in layout.zones]
    assert kinds.count("region") >= 2
    assert "distractor" in kinds
    assert len({zone.seed for zone in layout.zones}) == len(layout.zones)


@settings(deadline=None, max_examples=25)
@given(layouts)
def test_zones_of_a_core_never_touch(layout) -> None:
    for index, core in enumerate(layout.cores):
        drawn = [zone_outline(zone, core) for zone in layout.zones if zone.core == index]
        if drawn:
            assert np.sum(drawn, axis=0).max() <= 1


@settings(deadline=None, max_examples=40)
@given(layouts, st.floats(0.05, 0.95), st.floats(-0.9, 0.9))
def test_mapping_to_the_strip_inverts_the_bend(layout, along: float, across: float) -> None:
    for core in layout.cores:
        u, v = int(along * (core.length - 1)), across * core.reach
        sideways = v + core.bend[u]
        x = core.x + u * np.cos(core.angle) - sideways * np.sin(core.angle)
        y = core.y + u * np.sin(core.angle) + sideways * np.cos(core.angle)
        column, row = round(x), round(y)
        if not (0 <= column < layout.size.width and 0 <= row < layout.size.height):
            continue
        placed = slide_to_strip(core, layout.size)
        assert placed is not None
        box, map_u, map_v = placed
        assert map_u.shape == map_v.shape == (box.height, box.width)
        assert map_u[row - box.y, column - box.x] == pytest.approx(u, abs=1.5)
        assert map_v[row - box.y, column - box.x] == pytest.approx(v + core.reach, abs=2.5)


def test_a_strip_off_the_slide_has_no_place() -> None:
    core = Core(5000.0, 5000.0, 0.1, 100, 20.0, np.zeros(100, np.float32))
    assert slide_to_strip(core, Size(300, 300)) is None


def test_outline_is_tissue_on_the_axis_and_glass_at_the_rim() -> None:
    core = Core(0.0, 0.0, 0.0, 800, 50.0, np.zeros(800, np.float32))
    distance = outline(core, np.random.default_rng(0), breaks=0)
    assert distance.shape == core.strip_shape
    assert (distance[core.reach, 60:-60] > 0).all()
    assert (distance[0] < 0).all()
    assert (distance[-1] < 0).all()
    width = (distance > 0).sum(axis=0)[100:-100]
    assert 70 < width.mean() < 130
    assert width.std() > 3


def test_a_break_parts_the_core() -> None:
    core = Core(0.0, 0.0, 0.0, 800, 50.0, np.zeros(800, np.float32))
    parted = outline(core, np.random.default_rng(3), breaks=3)
    assert ((parted > 0).sum(axis=0)[60:-60] < 40).any()


def test_lanes_keep_cores_apart_and_on_the_slide() -> None:
    for seed in range(30):
        layout = draw_layout(np.random.default_rng(seed), 512)
        for core in layout.cores:
            middle = core.length // 2
            x = core.x + middle * np.cos(core.angle)
            y = core.y + middle * np.sin(core.angle)
            assert 0 < x < layout.size.width
            assert 0 < y < layout.size.height
