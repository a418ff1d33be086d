import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.color import hed_from_rgb, separate_stains

from tilewise.encoders.texture import planes as planes_module
from tilewise.encoders.texture.planes import LEVELS_PER_OD, SCALES, STAIN_OFFSET, histogram, separate, shrink, spread


def test_pure_dyes_land_in_their_own_planes(stain):
    density = np.full((32, 32), 0.5)
    only_h, only_e = separate(stain(density, 0.0)), separate(stain(density * 0, 0.5))
    level = STAIN_OFFSET + 0.5 * LEVELS_PER_OD
    assert np.allclose(only_h.hematoxylin[2], level, atol=2)
    assert np.allclose(only_h.nuclear, level, atol=2)
    assert np.allclose(only_h.eosin[2], STAIN_OFFSET, atol=2)
    assert np.allclose(only_e.eosin[2], level, atol=2)
    assert np.allclose(only_e.hematoxylin[2], STAIN_OFFSET, atol=2)
    assert np.allclose(only_e.residual, 128, atol=2)


def test_hematoxylin_follows_scikit_image_where_its_matrix_is_ours(random_tiles):
    """skimage's third dye is DAB; with our cross product in its place both must agree up to scale."""
    stains = np.linalg.inv(hed_from_rgb)[:2]
    stains = stains / np.linalg.norm(stains, axis=1, keepdims=True)
    residual = np.cross(*stains)
    unmix = np.linalg.inv(np.vstack([stains, residual / np.linalg.norm(residual)]))
    tile = random_tiles[0]
    theirs = separate_stains(np.maximum(tile, 1), unmix)[..., 0]
    ours = separate(tile).nuclear.astype(float)
    inside = (ours > 40) & (ours < 250)
    assert np.corrcoef(theirs[inside], ours[inside])[0, 1] > 0.999


@pytest.mark.parametrize("glass", [(255, 255, 255), (225, 225, 222), (235, 215, 228), (170, 235, 225)])
def test_tissue_is_told_from_glass_of_any_tint(glass):
    tile = np.full((64, 64, 3), glass, np.uint8)
    tile[:32] = np.array(glass) * (0.8, 0.55, 0.8)
    tissue = separate(tile).tissue[2]
    assert tissue[:15].all()
    assert not tissue[17:].any()


def test_a_tile_without_glass_is_all_tissue(stain):
    assert separate(stain(np.full((64, 64), 0.4), 0.4)).tissue[2].all()


@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20)),
    st.booleans(),
)
def test_histogram_counts_like_numpy(plane, masked):
    mask = (plane > 100).astype(np.uint8)
    expected = np.bincount(plane[plane > 100] if masked else plane.ravel(), minlength=256)
    assert np.array_equal(histogram(plane, mask=mask if masked else None), expected)


@settings(deadline=None)
@given(hnp.arrays(np.uint8, (8, 12)))
def test_shrink_means_squares(plane):
    means = plane.reshape(4, 2, 6, 2).mean(axis=(1, 3))
    assert np.abs(shrink(plane, 2) - means).max() <= 0.5


def test_spread_is_the_damped_standard_deviation(random_tiles):
    plane = random_tiles[0, ..., 0].copy()
    mask = (plane > 90).astype(np.uint8)
    assert spread(plane, mask=mask) == pytest.approx(np.sqrt(plane[mask == 1].var() + 1))
    assert spread(plane, mask=mask * 0) == 1


@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (224, 224), (100, 301)])
def test_pyramids_halve(shape):
    planes = separate(np.zeros((*shape, 3), np.uint8))
    for scale in SCALES:
        assert all(abs(planes.grey[scale].shape[axis] - shape[axis] / scale) < 2 for axis in (0, 1))
        assert planes.tissue[scale].shape == planes.grey[scale].shape == planes.eosin[scale].shape


def test_density_never_wraps():
    black, white = (separate(np.full((32, 32, 3), level, np.uint8)) for level in (0, 255))
    assert (black.nuclear > 200).all()
    assert (white.nuclear == STAIN_OFFSET).all()
    assert (white.saturation == 0).all()
    assert planes_module.histogram(black.saturation)[0] == 256
