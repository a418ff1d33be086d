import cv2
import numpy as np
import pytest

from tilewise.synthetic.faults.blobs import BLOB_COLOURS, BLOB_FAMILIES, draw_blob, paste_blob
from tilewise.synthetic.faults.glass import mix
from tilewise.synthetic.faults.held_out import BLOB_FAMILY
from tilewise.synthetic.slide import DrawnSlide

HUES = {"green": (35, 85), "blue": (98, 125), "red": (0, 12), "yellow": (18, 35)}


@pytest.mark.parametrize("family", [*BLOB_FAMILIES, BLOB_FAMILY])
@pytest.mark.parametrize("colour", BLOB_COLOURS)
def test_recomposes_from_its_alpha(slide: DrawnSlide, colour: str, family: str) -> None:
    inked, alpha = paste_blob(np.random.default_rng(3), slide.rgb, aim=slide.tissue, colour=colour, family=family)
    paint, same = draw_blob(np.random.default_rng(3), slide.tissue, colour=colour, family=family)
    np.testing.assert_array_equal(alpha, same)
    expected = slide.rgb * (1.0 - alpha[:, :, None]) + paint * alpha[:, :, None]
    assert np.abs(inked - expected).max() <= 0.51
    np.testing.assert_array_equal(inked[alpha == 0], slide.rgb[alpha == 0])
    assert alpha.dtype == np.float32
    assert (inked[alpha > 0.5] != slide.rgb[alpha > 0.5]).any(axis=1).mean() > 0.98


@pytest.mark.parametrize("seed", range(12))
def test_has_a_solid_core_and_a_faint_halo(slide: DrawnSlide, seed: int) -> None:
    family = BLOB_FAMILIES[seed % len(BLOB_FAMILIES)]
    _, alpha = paste_blob(np.random.default_rng(seed), slide.rgb, aim=slide.tissue, colour="green", family=family)
    core = alpha > 0.5
    assert 0.75 <= alpha.max() <= 1.0
    # Most of it is as opaque as its middle; around that lies a rim that fades.
    assert (alpha[core] > 0.99 * alpha.max()).mean() > 0.75
    halo = (alpha > 0) & ~core
    assert 0.02 < halo.sum() / core.sum() < 2.0
    assert core.sum() > 0.005 * 384**2
    assert (cv2.dilate(core.astype(np.uint8), np.ones((41, 41))) > 0)[halo].mean() > 0.8


@pytest.mark.parametrize("colour", BLOB_COLOURS)
def test_is_of_its_colour(slide: DrawnSlide, colour: str) -> None:
    for seed in range(4):
        inked, alpha = paste_blob(
            np.random.default_rng(seed), slide.rgb, aim=slide.mask, colour=colour, family="glossy"
        )
        hue, saturation, value = np.median(cv2.cvtColor(inked, cv2.COLOR_RGB2HSV)[alpha > 0.7], axis=0)
        if colour == "black":
            assert value < 110
            continue
        low, high = HUES[colour]
        assert low <= hue <= high or (colour == "red" and hue >= 168)
        assert saturation > 110


def test_meets_what_it_is_aimed_at(slide: DrawnSlide) -> None:
    met = 0
    for seed in range(20):
        _, alpha = paste_blob(np.random.default_rng(seed), slide.rgb, aim=slide.mask, colour="red", family="glossy")
        met += bool((alpha > 0.5)[slide.mask].any())
    assert met >= 18


def test_mix_changes_nothing_where_alpha_is_zero() -> None:
    below = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    np.testing.assert_array_equal(
        mix(below, np.full(below.shape, 300.0, np.float32), np.zeros((8, 8), np.float32)), below
    )
    assert (mix(below, np.full(below.shape, 300.0, np.float32), np.ones((8, 8), np.float32)) == 255).all()
