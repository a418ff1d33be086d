"""The fast stage: which pairs of slides have keypoints in common, whichever way they are turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tilewise.auditing.copies.descriptors import NUM_BINS, NUM_CELLS, NUM_DIRECTIONS, SCALE
from tilewise.auditing.copies.fingerprint import Fingerprint
from tilewise.auditing.copies.symmetry import COMPOSE, INVERSE, MATRICES, PERMUTATIONS

_KEYPOINTS_PER_SLIDE = 80
# Cosine of two descriptors. Copies keep 0.95 and more, and of another slide not one in a hundred comes near that.
_ALIKE = 0.96
_PROJECTED_BINS = 30
_BLOCK = 1024
_SLIDES_AT_ONCE = 256
# Rows of a projection that are multiplied with each other: half the squared length of one by the one of the other.
_SWAPPED = [*range(_PROJECTED_BINS), _PROJECTED_BINS + 1, _PROJECTED_BINS]
# Of a copy that is cropped, recoloured, recompressed and one third covered, one in six keypoints still votes; of
# unlike slides three of a hundred get this share by chance.
_FEWEST_VOTES, _MOST_VOTES, _SHARE_OF_VOTES = 3, 5, 1 / 15


@dataclass(frozen=True)
class Proposal:
    """Two slides by index, the symmetry from the first to the second, and how many keypoints speak for it."""

    one: int
    two: int
    symmetry: int
    votes: int


@dataclass(frozen=True)
class KeypointIndex:
    """The chosen keypoints of many slides, all turned to face the same way.

    Attributes:
        descriptors: float32 (N, 128), unit length.
        slides: int (N,).
        symmetries: int (N,), how each was turned.
    """

    descriptors: npt.NDArray[np.float32]
    slides: npt.NDArray[np.intp]
    symmetries: npt.NDArray[np.intp]


def index_keypoints(fingerprints: Sequence[Fingerprint]) -> KeypointIndex:
    """Turn the best keypoints of every slide to face the same way."""
    chosen = [fingerprint.descriptors[:_KEYPOINTS_PER_SLIDE] for fingerprint in fingerprints]
    slides = np.repeat(np.arange(len(chosen)), [len(each) for each in chosen])
    turned = np.empty((len(slides), NUM_BINS), np.float32)
    symmetries = np.empty(len(slides), np.intp)
    stop = 0
    for first in range(0, len(chosen), _SLIDES_AT_ONCE):
        unit = unit_vectors(np.concatenate(chosen[first : first + _SLIDES_AT_ONCE]))
        rows = slice(stop, stop := stop + len(unit))
        symmetries[rows] = facing_symmetries(unit)
        turned[rows] = np.take_along_axis(unit, PERMUTATIONS[symmetries[rows]], axis=1)
    return KeypointIndex(turned, slides, symmetries)


def unit_vectors(descriptors: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Stored descriptors as vectors of length one."""
    values = descriptors.astype(np.float32) / np.float32(SCALE)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.maximum(length, 1e-6), dtype=np.float32)


def facing_symmetries(descriptors: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """The symmetry that turns each descriptor's mean gradient to between 0 and 45 degrees; int (N,)."""
    angles = np.arange(NUM_DIRECTIONS) * (2 * np.pi / NUM_DIRECTIONS)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    shares = (descriptors**2).reshape(-1, NUM_CELLS * NUM_CELLS, NUM_DIRECTIONS).sum(axis=1)
    turned = np.einsum("gab,nb->gna", MATRICES, shares @ directions)
    inside = (turned[:, :, 1] >= 0) & (turned[:, :, 1] <= turned[:, :, 0])
    return np.asarray(inside.argmax(axis=0))


def propose(index: KeypointIndex, *, num_first: int | None = None) -> list[Proposal]:
    """Pairs of slides that share keypoints, those with most votes first.

    Descriptors are projected onto their main directions. Projecting never brings two further apart, so what is alike in
    all bins is alike in the projection: nothing is missed there, and what is found is checked in all bins.

    Args:
        index: of all slides.
        num_first: only pairs of one of the first `num_first` slides with one of the others; None: all
            pairs.
    """
    split = len(index.slides) if num_first is None else int(np.searchsorted(index.slides, num_first))
    if split == 0:
        return []
    right = _project(index.descriptors)
    matches = [np.empty((2, 0), np.intp)]
    for start in range(0, split, _BLOCK):
        rows = slice(start, min(start + _BLOCK, split))
        left = np.ascontiguousarray(right[_SWAPPED, rows].T)
        for begin in range(rows.start if num_first is None else split, len(index.slides), _BLOCK * 4):
            columns = slice(begin, begin + _BLOCK * 4)
            # Half the squared distance of two unit vectors is one less their cosine.
            near = np.flatnonzero((left @ right[:, columns] >= _ALIKE - 1.0).ravel())
            if not len(near):
                continue
            width = min(columns.stop, len(index.slides)) - begin
            i, j = near // width + start, near % width + begin
            in_order = index.slides[i] < index.slides[j]
            i, j = i[in_order], j[in_order]
            alike = np.einsum("nd,nd->n", index.descriptors[i], index.descriptors[j]) >= _ALIKE
            matches.append(np.stack([i[alike], j[alike]]))
    i, j = np.concatenate(matches, axis=1)
    return _tally(index, i, j)


def _project(descriptors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """float32 (bins + 2, N): the projection, ones, and less half its squared length, a block at a time."""
    sample = descriptors[:: max(1, len(descriptors) // 20_000)].astype(np.float64)
    sample -= sample.mean(axis=0)
    _, vectors = np.linalg.eigh(sample.T @ sample)
    directions = vectors[:, -_PROJECTED_BINS:].astype(np.float32)
    columns_DN = np.ones((_PROJECTED_BINS + 2, len(descriptors)), np.float32)
    for start in range(0, len(descriptors), _BLOCK * 4):
        rows = slice(start, start + _BLOCK * 4)
        projected = descriptors[rows] @ directions
        columns_DN[:_PROJECTED_BINS, rows] = projected.T
        columns_DN[-1, rows] = -(projected**2).sum(axis=1) / 2
    return columns_DN


def _tally(index: KeypointIndex, i: npt.NDArray[np.intp], j: npt.NDArray[np.intp]) -> list[Proposal]:
    num_slides = int(index.slides.max()) + 1
    symmetry = COMPOSE[INVERSE[index.symmetries[j]], index.symmetries[i]]
    pair = (index.slides[i] * num_slides + index.slides[j]) * 8 + symmetry
    # Each keypoint votes once for a pair: the fewer of the two sides that took part count.
    pairs, votes = _voters(pair, i)
    _, more = _voters(pair, j)
    votes = np.minimum(votes, more)
    fewest = np.clip(np.bincount(index.slides) * _SHARE_OF_VOTES, _FEWEST_VOTES, _MOST_VOTES)
    one, two = np.divmod(pairs // 8, num_slides)
    enough = votes >= np.minimum(fewest[one], fewest[two])
    columns = (column[enough].tolist() for column in (one, two, pairs % 8, votes))
    proposals = [Proposal(*row) for row in zip(*columns, strict=True)]
    return sorted(proposals, key=lambda proposal: (-proposal.votes, proposal.one, proposal.two, proposal.symmetry))


def _voters(
    pair: npt.NDArray[np.intp], keypoint: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The pairs in order, and how many different keypoints speak for each."""
    order = np.lexsort((keypoint, pair))
    pair, keypoint = pair[order], keypoint[order]
    new = np.r_[True, (pair[1:] != pair[:-1]) | (keypoint[1:] != keypoint[:-1])][: len(pair)]
    pairs, counts = np.unique(pair[new], return_counts=True)
    return pairs, counts
