import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewise.stain import Normaliser, StainConfig, TrustConfig, fit_profile, normalise_each
from tilewise.stain.profile import angle_between
from tilewise.tissue import tissue_mask

METHODS = ["macenko", "vahadane", "reinhard"]
OTHER = ((0.62, 0.70, 0.30), (0.30, 0.88, 0.30))
LOOSE = TrustConfig(max_from_published=180, min_angle=0, max_angle=90, max_off_plane=1)


def everything(rgb):
    return np.ones(rgb.shape[:2], bool)


def lstsq_macenko(rgb, source, target):
    """Unmix by least squares and mix again, without tables."""
    density = -np.log((rgb.reshape(-1, 3) + 1.0) / (np.array(source.glass) + 1))
    amounts = np.linalg.lstsq(source.matrix.T, density.T, rcond=None)[0]
    amounts *= (np.array(target.concentrations) / source.concentrations)[:, None]
    light = (np.array(target.glass) + 1) * np.exp(-(target.matrix.T @ amounts)).T - 1
    return np.clip(light, 0, 255).reshape(rgb.shape)


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


@pytest.fixture
def pair(section, method):
    """Profiles of two sections stained differently."""
    return fit_profile(*section(OTHER, amount=0.8, seed=3), method), fit_profile(*section(), method)


def test_a_section_comes_to_have_the_targets_stain(section, method, pair):
    rgb, tissue = section(OTHER, amount=0.8, seed=3)
    source, target = pair
    profile = fit_profile(Normaliser(source, target, method).apply(rgb), tissue, method)
    if method == "reinhard":
        before = np.abs(np.subtract(source.lab_mean, target.lab_mean)).max()
        assert np.abs(np.subtract(profile.lab_mean, target.lab_mean)).max() < min(1.5, before / 3)
    else:
        assert all(angle_between(*dyes) < 3 for dyes in zip(profile.stain_matrix, target.stain_matrix, strict=True))
        np.testing.assert_allclose(profile.concentrations, target.concentrations, rtol=0.08)


def test_the_same_profile_changes_no_pixel(section, method):
    rgb, tissue = section()
    profile = fit_profile(rgb, tissue, method)
    normaliser = Normaliser(profile, profile, method)
    assert normaliser.trusted
    np.testing.assert_array_equal(normaliser.apply(rgb), rgb)


def test_nearly_the_same_profile_changes_next_to_nothing(section, method):
    rgb, tissue = section(noise=0.0)
    profile = fit_profile(rgb, tissue, method)
    target = dataclasses.replace(profile, num_pixels=profile.num_pixels + 1)
    change = np.abs(Normaliser(profile, target, method).apply(rgb).astype(int) - rgb)
    assert change.max() <= 3
    assert change.mean() < 1


def test_there_and_back_again(section, method, pair):
    rgb, tissue = section(OTHER, amount=0.8, seed=3, noise=0.0)
    source, target = pair
    back = Normaliser(target, source, method).apply(Normaliser(source, target, method).apply(rgb))
    assert np.abs(back.astype(int) - rgb)[tissue].mean() < 2.5


def test_tiles_and_the_whole_give_the_same_pixels(section, method, pair):
    rgb, _ = section(OTHER, seed=4)
    normaliser = Normaliser(*pair, method)
    tiles_NHWC = np.stack([rgb[:80, :80], rgb[80:, 80:]])
    whole = normaliser.apply(rgb)
    np.testing.assert_array_equal(normaliser.apply(tiles_NHWC), np.stack([whole[:80, :80], whole[80:, 80:]]))
    assert normaliser.apply(rgb[::2, ::2]).shape == (80, 80, 3)
    np.testing.assert_array_equal(normaliser.apply(rgb[::2, ::2]), whole[::2, ::2])


@given(level=st.integers(215, 255), tint=st.tuples(st.integers(-6, 0), st.integers(-6, 0)), seed=st.integers(0, 9))
def test_glass_becomes_the_targets_glass(section, level, tint, seed):
    glass = (level, level + tint[0], level + tint[1])
    picture, tissue = section(OTHER, glass=glass, seed=seed, side=96)
    goal = section(glass=(238, 240, 241), side=96)
    for method in METHODS:
        source, target = fit_profile(picture, tissue, method), fit_profile(*goal, method)
        normaliser = Normaliser(source, target, method)
        assert normaliser.trusted, normaliser.reason
        out = normaliser.apply(np.array([[glass]], np.uint8))
        assert np.abs(out[0, 0].astype(int) - (238, 240, 241)).max() <= 2


def test_more_dye_is_never_brighter(method, pair):
    source, target = pair
    amounts = np.linspace(0.2, 2.5, 60)[:, None]
    for dye in source.matrix:
        light = (np.array(source.glass) + 1) * np.exp(-amounts * dye) - 1
        out = Normaliser(source, target, method).apply(np.clip(np.round(light), 0, 255).astype(np.uint8)[None])
        grey = out[0].astype(float).sum(axis=-1)
        # Rounding to whole levels moves each of three channels by at most one.
        assert (np.diff(grey) <= 3).all()
        assert grey[-1] < grey[0] - 100


@pytest.mark.parametrize("method", ["macenko", "vahadane"])
def test_bright_and_pure_colours_do_not_wrap_around(method, section):
    source, target = fit_profile(*section(OTHER, amount=0.8, seed=3), method), fit_profile(*section(), method)
    rgb = np.stack(np.meshgrid(*[[0, 1, 60, 128, 200, 254, 255]] * 3), axis=-1).reshape(1, -1, 3).astype(np.uint8)
    out = Normaliser(source, target, method).apply(rgb)
    assert np.abs(out - lstsq_macenko(rgb, source, target)).max() <= 0.6


def test_the_signature_tells_what_changes_pixels(section, method, pair):
    source, target = pair
    here = Normaliser(source, target, method).signature
    assert here != Normaliser(target, source, method).signature
    blank = fit_profile(section()[0], np.zeros((160, 160), bool), method)
    assert Normaliser(blank, target, method).signature["method"] == "none"


def test_each_tile_by_itself_and_what_cannot_be_fitted_is_left(section, pair, method):
    blank = np.full((160, 160, 3), 240, np.uint8)
    tiles_NHWC = np.stack([section(OTHER, seed=3)[0], blank])
    out, reasons = normalise_each(tiles_NHWC, pair[1], method)
    np.testing.assert_array_equal(out[1], blank)
    assert [bool(reason) for reason in reasons] == [False, True]
    alone = Normaliser(fit_profile(tiles_NHWC[0], tissue_mask(tiles_NHWC[0]), method), pair[1], method)
    np.testing.assert_array_equal(out[0], alone.apply(tiles_NHWC[0]))


@pytest.mark.real
@pytest.mark.parametrize("letter", "ab")
def test_macenko_agrees_with_histolab_and_least_squares(reference, letter):
    rgb, goal = reference(f"source_{letter}"), reference("target")
    source, target = (fit_profile(picture, everything(picture), "macenko") for picture in (rgb, goal))
    config = StainConfig(method="macenko", trust=LOOSE)
    out = Normaliser(source, target, "macenko", config=config).apply(rgb)
    expected = reference(f"expected_{letter}_macenko")
    assert np.abs(out.mean(axis=(0, 1)) - expected.mean(axis=(0, 1))).max() < 2
    assert np.abs(out - lstsq_macenko(rgb, source, target)).max() <= 0.6


@pytest.mark.real
def test_macenko_on_tissue_only_agrees_with_histolab_where_there_is_tissue(reference):
    rgb, goal = reference("source_b"), reference("target")
    source, target = (fit_profile(picture, tissue_mask(picture), "macenko") for picture in (rgb, goal))
    out = Normaliser(source, target, "macenko").apply(rgb)
    assert np.abs(out.mean(axis=(0, 1)) - reference("expected_b_macenko").mean(axis=(0, 1))).max() < 5


@pytest.mark.real
def test_fat_with_a_breath_of_tissue_is_left_alone(reference):
    rgb, goal = reference("source_a"), reference("target")
    source, target = (fit_profile(picture, tissue_mask(picture), "macenko") for picture in (rgb, goal))
    assert "eosin out of range" in Normaliser(source, target, "macenko").reason


@pytest.mark.real
@pytest.mark.parametrize("letter", "ab")
def test_reinhard_agrees_with_histolab_on_the_tissue_that_it_changed(reference, letter):
    from skimage.morphology import remove_small_objects

    rgb, goal, expected = reference(f"source_{letter}"), reference("target"), reference(f"expected_{letter}_reinhard")
    changed = (np.abs(rgb.astype(int) - expected) > 3).any(axis=2)
    source = fit_profile(rgb, remove_small_objects(changed, max_size=300), "reinhard")
    target = fit_profile(goal, tissue_mask(goal), "reinhard")
    out = Normaliser(source, target, "reinhard", config=StainConfig(method="reinhard", trust=LOOSE)).apply(rgb)
    assert np.abs(out.mean(axis=(0, 1)) - expected.mean(axis=(0, 1))).max() < 5
