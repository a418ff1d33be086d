import numpy as np
import pytest
from skimage.feature import local_binary_pattern

from tilewise.encoders.texture.lbp import NAMES, NUM_PATTERNS, lbp, pattern_counts
from tilewise.encoders.texture.planes import separate


def scikit_counts(plane, mask):
    inner = local_binary_pattern(plane, 8, 1, "uniform")[1:-1, 1:-1].astype(int)
    return np.bincount(inner[mask[1:-1, 1:-1] == 1], minlength=NUM_PATTERNS)


@pytest.mark.parametrize("shape", [(112, 112), (40, 61), (3, 3)])
@pytest.mark.parametrize("seed", range(4))
def test_counts_are_scikit_images(shape, seed):
    rng = np.random.default_rng(seed)
    plane = rng.integers(0, 256, shape, dtype=np.uint8)
    mask = (rng.random(shape) < 0.7).astype(np.uint8)
    for each in (np.ones_like(mask), mask):
        ours, theirs = pattern_counts(plane, each), scikit_counts(plane, each)
        assert ours.sum() == theirs.sum()
        # Only a diagonal value within rounding of its centre may fall to the other side.
        assert np.abs(ours - theirs).sum() <= 2 + 0.001 * theirs.sum()


def test_flat_planes_are_all_ones():
    plane = np.full((20, 30), 77, np.uint8)
    assert np.array_equal(pattern_counts(plane, np.ones_like(plane)), [*[0] * 8, 18 * 28, 0])


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_and_mirrors_change_nothing(quarters, random_tiles):
    tile = random_tiles[0]
    before = lbp([separate(tile)])
    assert np.array_equal(before, lbp([separate(np.rot90(tile, quarters))]))
    assert np.array_equal(before, lbp([separate(tile[:, ::-1])]))


def test_frequencies_are_blind_to_monotone_changes_of_light():
    rng = np.random.default_rng(0)
    plane = rng.integers(10, 100, (50, 50)).astype(np.uint8)
    mask = np.ones_like(plane)
    assert np.array_equal(pattern_counts(plane, mask), pattern_counts(plane * 2 + 30, mask))


def test_squared_values_add_up_to_one_per_histogram(random_tiles):
    values = lbp([separate(tile) for tile in random_tiles])
    assert values.shape == (len(random_tiles), len(NAMES))
    assert np.allclose((values**2).reshape(len(random_tiles), -1, NUM_PATTERNS).sum(axis=2), 1)


def test_planes_too_small_for_a_circle_count_nothing():
    assert pattern_counts(np.zeros((2, 9), np.uint8), np.ones((2, 9), np.uint8)).sum() == 0
