"""The eight ways to turn and mirror a picture: matrices, words, and what they do to a descriptor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tilewise.auditing.copies.descriptors import NUM_CELLS, NUM_DIRECTIONS

# Turns are clockwise as seen, with y pointing down; a mirrored picture is flipped left to right first.
_TURN = np.array([[0, -1], [1, 0]])
_MIRROR = np.array([[-1, 0], [0, 1]])
WORDS = (
    "not turned",
    "turned by 90 degrees",
    "turned by 180 degrees",
    "turned by 270 degrees",
    "mirrored",
    "mirrored and turned by 90 degrees",
    "mirrored and turned by 180 degrees",
    "mirrored and turned by 270 degrees",
)


def _matrices() -> npt.NDArray[np.float32]:
    rotations = [np.linalg.matrix_power(_TURN, times) for times in range(4)]
    return np.stack([*rotations, *(rotation @ _MIRROR for rotation in rotations)]).astype(np.float32)


#: (8, 2, 2): what each symmetry does to a vector (x, y).
MATRICES = _matrices()


def _index_of(matrix: npt.NDArray[np.float32]) -> int:
    return int(np.flatnonzero((np.abs(MATRICES - matrix) < 0.5).all(axis=(1, 2)))[0])


#: (8, 8): the symmetry that is `first` and then `then`, as COMPOSE[then, first].
COMPOSE = np.array([[_index_of(then @ first) for first in MATRICES] for then in MATRICES])
#: (8,): what undoes each symmetry.
INVERSE = np.array([_index_of(matrix.T) for matrix in MATRICES])


def _permutations() -> npt.NDArray[np.intp]:
    """(8, bins): descriptor of the turned picture = descriptor[PERMUTATIONS[symmetry]]."""
    centre = (NUM_CELLS - 1) / 2
    rows, columns, directions = np.meshgrid(
        np.arange(NUM_CELLS), np.arange(NUM_CELLS), np.arange(NUM_DIRECTIONS), indexing="ij"
    )
    angles = directions * 2 * np.pi / NUM_DIRECTIONS
    tables = []
    for matrix in MATRICES:
        x, y = np.einsum("ab,b...->a...", matrix, np.stack([columns - centre, rows - centre]))
        dx, dy = np.einsum("ab,b...->a...", matrix, np.stack([np.cos(angles), np.sin(angles)]))
        turned = np.rint(np.arctan2(dy, dx) / (2 * np.pi / NUM_DIRECTIONS)).astype(int) % NUM_DIRECTIONS
        target = (
            np.rint(y + centre).astype(int) * NUM_CELLS + np.rint(x + centre).astype(int)
        ) * NUM_DIRECTIONS + turned
        source = np.empty(target.size, dtype=np.intp)
        source[target.ravel()] = np.arange(target.size)
        tables.append(source)
    return np.stack(tables)


#: (8, bins): the descriptor of a turned picture is the descriptor taken in this order.
PERMUTATIONS = _permutations()
