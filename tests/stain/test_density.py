import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewise.stain.density import densities, density_table, measure_glass, sample_tissue

LEVELS = st.floats(200, 255)


@given(st.tuples(LEVELS, LEVELS, LEVELS))
def test_density_and_back_gives_every_grey_level(glass):
    table = density_table(glass)
    back = (np.asarray(glass) + 1) * np.exp(-table.astype(float)) - 1
    np.testing.assert_allclose(back, np.arange(256)[:, None] * np.ones(3), atol=1e-3)
    assert (np.diff(table, axis=0) < 0).all()


def test_densities_keep_the_shape_and_the_channels_apart():
    rgb = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), dtype=np.uint8)
    glass = (240.0, 230.0, 220.0)
    expected = -np.log((rgb + 1.0) / (np.array(glass) + 1.0))
    np.testing.assert_allclose(densities(rgb, glass), expected, atol=1e-5)


def test_glass_is_measured_by_channel(section):
    rgb, tissue = section(glass=(235, 228, 233))
    assert np.abs(np.subtract(measure_glass(rgb, tissue), (235, 228, 233))).max() <= 1


@pytest.mark.parametrize("glass", [(150, 150, 150), (250, 205, 225)])
def test_what_is_dim_or_coloured_is_no_glass(section, glass):
    assert measure_glass(*section(glass=glass)) is None


def test_what_is_uneven_is_no_glass(section):
    assert measure_glass(*section(glass=(230, 230, 230), noise=12)) is None


def test_a_field_full_of_tissue_has_no_glass(section):
    rgb, _ = section()
    assert measure_glass(rgb, np.ones(rgb.shape[:2], bool)) is None


@given(st.integers(20, 700), st.integers(20, 700))
def test_the_sample_is_of_tissue_only_and_bounded(height, width):
    rgb = np.zeros((height, width, 3), np.uint8)
    tissue = np.zeros((height, width), bool)
    tissue[: height // 2] = True
    rgb[tissue] = 7
    sample = sample_tissue(rgb, tissue)
    assert (sample == 7).all()
    assert min(tissue.sum(), 1 << 12) <= len(sample) <= 1 << 15
