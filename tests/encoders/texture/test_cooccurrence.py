import numpy as np
import pytest
from skimage.feature import graycomatrix, graycoprops

from tilewise.encoders.texture.cooccurrence import (
    NUM_STEPS,
    cooccurrence,
    equal_steps,
    frequencies,
    pair_counts,
    properties,
)
from tilewise.encoders.texture.planes import separate

HOMOGENEITY, ENERGY, CORRELATION, INFORMATION, SHADE = range(5)
ANGLES = (0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)


def smooth_steps(seed, shape=(70, 90)):
    import cv2

    noise = np.random.default_rng(seed).normal(size=shape)
    plane = np.clip(128 + 200 * cv2.GaussianBlur(noise, (0, 0), 1.5), 0, 255).astype(np.uint8)
    return equal_steps(plane, np.ones_like(plane))


@pytest.mark.parametrize("distance", [1, 2, 4, 8])
def test_counts_are_scikit_images(distance):
    steps = smooth_steps(distance)
    theirs = graycomatrix(steps, [distance], ANGLES, levels=NUM_STEPS + 1)[1:, 1:, 0].sum(axis=2)
    ours = pair_counts(steps, distance)
    # skimage walks up where we walk down, which is the other end of the same pairs.
    assert np.array_equal(ours + ours.T, theirs + theirs.T)


@pytest.mark.parametrize("seed", range(3))
def test_properties_are_scikit_images(seed):
    shares = frequencies(pair_counts(smooth_steps(seed), 2)[None])
    theirs = {name: graycoprops(shares[0][:, :, None, None], name)[0, 0] for name in
              ("homogeneity", "ASM", "energy", "correlation")}  # fmt: skip
    ours = properties(shares)[0]
    assert ours[HOMOGENEITY] == pytest.approx(theirs["homogeneity"])
    assert ours[ENERGY] == pytest.approx(theirs["energy"])
    assert ours[ENERGY] ** 2 == pytest.approx(theirs["ASM"])
    assert ours[CORRELATION] == pytest.approx(theirs["correlation"], abs=1e-6)


def test_information_and_shade_by_hand():
    """Steps that always come with themselves: full information; a margin with a long upper tail: positive shade."""
    margin = np.zeros(NUM_STEPS)
    margin[[0, 1, 10]] = 0.6, 0.3, 0.1
    tied, free = properties(np.stack([np.diag(margin), np.outer(margin, margin)]))
    assert tied[INFORMATION] == pytest.approx(-1, abs=1e-5)
    assert free[INFORMATION] == pytest.approx(0, abs=1e-9)
    levels = np.arange(NUM_STEPS)
    sums = levels[:, None] + levels[None, :] - 2 * (margin * levels).sum()
    weights = np.outer(margin, margin)
    expected = (weights * sums**3).sum() / ((weights * sums**2).sum() + 0.01) ** 1.5
    assert free[SHADE] == pytest.approx(expected)
    assert free[SHADE] > 0


def test_pixels_outside_the_mask_take_no_part():
    rng = np.random.default_rng(0)
    plane = rng.integers(0, 256, (30, 30), dtype=np.uint8)
    mask = np.ones_like(plane)
    mask[:, 15:] = 0
    other = plane.copy()
    other[:, 15:] = rng.integers(0, 256, (30, 15), dtype=np.uint8)
    first, second = (pair_counts(equal_steps(each, mask), 3) for each in (plane, other))
    assert np.array_equal(first, second)
    assert first.sum() == pair_counts(equal_steps(plane[:, :15], mask[:, :15]), 3).sum()


def test_steps_hold_equal_shares_and_ignore_contrast():
    plane = np.random.default_rng(0).integers(0, 100, (100, 100)).astype(np.uint8)
    mask = np.ones_like(plane)
    shares = np.bincount(equal_steps(plane, mask).ravel(), minlength=NUM_STEPS + 1)[1:] / plane.size
    assert shares == pytest.approx(1 / NUM_STEPS, abs=0.02)
    assert np.array_equal(equal_steps(plane, mask), equal_steps(plane * 2 + 20, mask))


def test_quarter_turns_change_nothing(random_tiles):
    tile = random_tiles[1]
    assert np.allclose(cooccurrence([separate(tile)]), cooccurrence([separate(np.rot90(tile))]), rtol=0, atol=1e-12)


def test_distances_longer_than_the_plane_and_empty_masks_give_numbers():
    steps = np.ones((5, 5), np.uint8)
    counts = np.stack([pair_counts(steps, 9), pair_counts(steps * 0, 1), pair_counts(steps, 1)])
    assert counts.sum(axis=(1, 2)).tolist() == [0, 0, 20 + 20 + 16 + 16]
    assert np.isfinite(properties(frequencies(counts))).all()
