import numpy as np
import pytest
from scipy import ndimage

from tilewise.encoders.texture.granulometry import NAMES, _disc, _removed, granulometry
from tilewise.encoders.texture.planes import separate

DIAMETERS = (10, 20, 28, 44, 72)


def described(tile):
    return dict(zip(NAMES, granulometry([separate(tile)])[0], strict=True))


@pytest.mark.parametrize(("radius", "below", "above"), [(6, 10, 20), (11, 20, 28), (17, 28, 44)])
def test_grains_vanish_between_the_discs_that_bracket_their_size(nuclei_tile, radius, below, above):
    centres = [(56, 56), (168, 56), (56, 168), (168, 168)]
    features = described(nuclei_tile(centres, radius))
    remaining, gone = (features[f"granulometry.nuclear_grains.diameter_{diameter}"] for diameter in (below, above))
    largest = max(features[f"granulometry.nuclear_grains.diameter_{diameter}"] for diameter in DIAMETERS)
    assert remaining < 0.55 * largest
    assert gone > 0.75 * largest


def test_larger_discs_remove_no_less(random_tiles):
    for tile in random_tiles:
        features = described(tile.repeat(4, axis=0).repeat(4, axis=1))
        values = [features[f"granulometry.nuclear_gaps.diameter_{diameter}"] for diameter in DIAMETERS]
        assert all(np.diff(values) > -0.02)


def test_pale_holes_are_pale_grains_and_no_nuclear_ones(stain):
    y, x = np.mgrid[:224, :224]
    hole = (x - 112) ** 2 + (y - 112) ** 2 <= 8**2
    tile = stain(np.where(hole, 0.0, 0.5), np.where(hole, 0.0, 0.3))
    features = described(tile)
    assert features["granulometry.pale_grains.diameter_28"] > 0.02
    assert features["granulometry.nuclear_grains.diameter_28"] < 0.001


def test_openings_are_scipys(random_tiles):
    import cv2

    plane = random_tiles[0, ..., 1].copy()
    ours = cv2.morphologyEx(plane, cv2.MORPH_OPEN, _disc(5))
    theirs = ndimage.grey_opening(plane, footprint=_disc(5).astype(bool), mode="constant", cval=255)
    inner = (slice(4, -4), slice(4, -4))
    assert np.array_equal(ours[inner], theirs[inner])
    flat = {scale: np.full((20, 20), 9, np.uint8) for scale in (2, 4, 8)}
    assert _removed(flat, cv2.MORPH_OPEN) == [0] * len(DIAMETERS)


def test_quarter_turns_change_nothing(random_tiles):
    tile = random_tiles[3]
    assert np.array_equal(granulometry([separate(tile)]), granulometry([separate(np.rot90(tile))]))


def test_discs_are_round():
    for diameter in (5, 7, 9, 11):
        disc = _disc(diameter)
        assert np.array_equal(disc, np.rot90(disc))
        assert disc[diameter // 2].all()
        assert disc.sum() == pytest.approx(np.pi * diameter**2 / 4, rel=0.12)
