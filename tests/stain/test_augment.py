import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tilewise.stain import concentrations, fit_profile, hed_jitter


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_seed_makes_the_picture(section):
    rgb, _ = section()
    first, again, other = (hed_jitter(rgb, rng(seed), strength=0.1) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).max() > 3


def test_no_strength_changes_nothing_but_takes_its_numbers(section):
    rgb, _ = section()
    generator, other = rng(), rng()
    np.testing.assert_array_equal(hed_jitter(rgb, generator, strength=0.0), rgb)
    hed_jitter(rgb, other, strength=0.2)
    assert generator.random() == other.random()


@given(st.integers(0, 1000), st.floats(0.0, 0.3))
def test_glass_stays_glass_and_grey_goes_no_further_than_its_density(section, seed, strength):
    glass = np.full((1, 1, 3), 239, np.uint8)
    assert np.abs(hed_jitter(glass, rng(seed), strength=strength).astype(int) - 239).max() <= 1


def test_what_is_off_the_plane_of_the_dyes_stays(section):
    rgb, tissue = section()
    profile = fit_profile(rgb, tissue, "macenko")
    off = np.cross(*profile.matrix)
    off /= np.linalg.norm(off)
    before, after = (
        np.log((picture[tissue] + 1.0) / (np.array(profile.glass) + 1)) @ off
        for picture in (rgb, hed_jitter(rgb, rng(3), strength=0.2, profile=profile))
    )
    assert np.abs(before - after).mean() < 0.02


def test_the_amounts_become_those_of_the_numbers_drawn(section):
    rgb, tissue = section(noise=0.0)
    profile = fit_profile(rgb, tissue, "macenko")
    generator = rng(7)
    scale, shift = generator.uniform(0.9, 1.1, 2), generator.uniform(-0.1, 0.1, 2)
    out = hed_jitter(rgb, rng(7), strength=0.1, profile=profile)
    before, after = concentrations(rgb, profile), concentrations(out, profile)
    deep = tissue & (before > 0.3).all(axis=2) & (before < 1.5).all(axis=2)
    assert deep.sum() > 1000
    np.testing.assert_allclose(after[deep].mean(axis=0), (scale * before[deep] + shift).mean(axis=0), atol=0.02)


def test_every_tile_has_numbers_of_its_own(section):
    rgb, _ = section()
    tiles_NHWC = hed_jitter(np.stack([rgb, rgb]), rng(), strength=0.2)
    assert tiles_NHWC.shape == (2, *rgb.shape)
    assert np.abs(tiles_NHWC[0].astype(int) - tiles_NHWC[1]).max() > 3
    assert hed_jitter(tiles_NHWC[:0], rng(), strength=0.2).shape == (0, *rgb.shape)
