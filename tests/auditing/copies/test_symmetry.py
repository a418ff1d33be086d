from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewise.auditing.copies.descriptors import NUM_BINS, describe
from tilewise.auditing.copies.keypoints import Keypoints, Level
from tilewise.auditing.copies.propose import facing_symmetries, unit_vectors
from tilewise.auditing.copies.symmetry import COMPOSE, INVERSE, MATRICES, PERMUTATIONS, WORDS

_SYMMETRIES = st.integers(0, 7)


def turned(picture: np.ndarray, symmetry: int) -> np.ndarray:
    """By numpy, as the words say: mirrored left to right first, then turned clockwise."""
    mirrored, times = divmod(symmetry, 4)
    return np.rot90(picture[:, ::-1] if mirrored else picture, -times)


def described(picture: np.ndarray) -> np.ndarray:
    middle = (picture.shape[0] - 1) / 2
    keypoint = Keypoints(
        np.array([[middle, middle]], np.float32),
        np.array([2.5], np.float32),
        np.array([0]),
        np.ones(1, np.float32),
    )
    return describe(keypoint, [Level(np.ascontiguousarray(picture), 1.0)])


@given(_SYMMETRIES, st.integers(0, 2**32 - 1))
def test_turning_a_picture_reorders_the_bins_of_its_descriptor(symmetry: int, seed: int) -> None:
    picture = np.random.default_rng(seed).random((41, 41)).astype(np.float32)
    expected = described(turned(picture, symmetry)).astype(int)
    descriptors = described(picture)[:, PERMUTATIONS[symmetry]].astype(int)
    assert np.abs(descriptors - expected).max() <= 1


@given(_SYMMETRIES, st.integers(0, 40), st.integers(0, 40))
def test_the_matrix_moves_a_pixel_where_numpy_moves_it(symmetry: int, x: int, y: int) -> None:
    picture = np.zeros((41, 41))
    picture[y, x] = 1
    row, column = np.argwhere(turned(picture, symmetry))[0]
    assert (MATRICES[symmetry] @ [x - 20, y - 20] + 20).tolist() == [column, row]


@given(_SYMMETRIES, _SYMMETRIES)
def test_symmetries_are_a_group(first: int, then: int) -> None:
    assert np.array_equal(MATRICES[COMPOSE[then, first]], MATRICES[then] @ MATRICES[first])
    assert COMPOSE[INVERSE[first], first] == 0
    order = np.arange(NUM_BINS)
    assert np.array_equal(order[PERMUTATIONS[first]][PERMUTATIONS[then]], order[PERMUTATIONS[COMPOSE[then, first]]])


@given(_SYMMETRIES, st.integers(0, 2**32 - 1))
def test_a_descriptor_and_its_turned_twin_face_the_same_way(symmetry: int, seed: int) -> None:
    # Distinct random bins: the mean gradient lies on no axis.
    one = unit_vectors(np.random.default_rng(seed).integers(1, 255, (1, NUM_BINS)).astype(np.uint8))
    two = one[:, PERMUTATIONS[symmetry]]
    faced = [np.take_along_axis(each, PERMUTATIONS[facing_symmetries(each)], axis=1) for each in (one, two)]
    assert faced[0] == pytest.approx(faced[1])


def test_every_symmetry_has_its_own_words() -> None:
    assert len(set(WORDS)) == len(MATRICES) == 8
