"""The fast stage: which pairs of slides have keypoints in common, whichever way they are turned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise

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
# Up to so many keypoints, those of 2,000 slides, each is compared with every other one; beyond, with those of the cells
# nearest to it.
_MOST_COMPARED = 160_000
_CELLS_PER_ROOT, _NEAREST_CELLS = 3, 6
_SLIDES_AT_ONCE = 256
_PAIRS_AT_ONCE = 1 << 16
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
        descriptors: uint8 (N, 128).
        slides: int (N,), in order.
        symmetries: int (N,), how each was turned.
    """

    descriptors: npt.NDArray[np.uint8]
    slides: npt.NDArray[np.signedinteger]
    symmetries: npt.NDArray[np.signedinteger]


def index_keypoints(fingerprints: Iterable[Fingerprint], *, num_slides: int) -> KeypointIndex:
    """Turn the best keypoints of every slide to face the same way; fingerprints are taken one after the other."""
    # More rows than there may be: those that are never written take no memory.
    turned = np.empty((num_slides * _KEYPOINTS_PER_SLIDE, NUM_BINS), np.uint8)
    slides, symmetries = np.empty(len(turned), np.int32), np.empty(len(turned), np.int8)
    remaining, start, first = iter(fingerprints), 0, 0
    while chosen := [one.descriptors[:_KEYPOINTS_PER_SLIDE] for one in islice(remaining, _SLIDES_AT_ONCE)]:
        upright = np.concatenate(chosen)
        rows = slice(start, start + len(upright))
        slides[rows] = np.repeat(np.arange(first, first + len(chosen)), [len(each) for each in chosen])
        symmetries[rows] = facing_symmetries(unit_vectors(upright))
        turned[rows] = np.take_along_axis(upright, PERMUTATIONS[symmetries[rows]], axis=1)
        start, first = rows.stop, first + len(chosen)
    return KeypointIndex(turned[:start], slides[:start], symmetries[:start])


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
    all bins is alike in the projection, and what is found there is checked in all bins. Up to 2,000 slides nothing is
    missed. For more, keypoints are sorted into cells as by an inverted file (Jegou et al., IEEE TPAMI 33(1), 2011):
    time grows with the slides to the power of 1.5, and of 120 copies that were turned, cropped and recompressed each
    was found, by 996 of 1,000 of the keypoints that vote for it otherwise.

    Args:
        index: of all slides.
        num_first: only pairs of one of the first `num_first` slides with one of the others; None: all
            pairs.
    """
    split = len(index.slides) if num_first is None else int(np.searchsorted(index.slides, num_first))
    if split == 0:
        return []
    columns_DN = _project(index.descriptors)
    is_small = len(index.slides) <= _MOST_COMPARED
    pairs = _near_ones(columns_DN, split, num_first is None) if is_small else _near_ones_of_cells(columns_DN)
    matches = [np.empty((2, 0), np.int32)]
    for i, j in pairs:
        one, two = index.slides[i], index.slides[j]
        wanted = one < two if num_first is None else (one < num_first) & (two >= num_first)
        i, j = i[wanted], j[wanted]  # noqa: PLW2901 - what is left of them
        for start in range(0, len(i), _PAIRS_AT_ONCE):
            some = slice(start, start + _PAIRS_AT_ONCE)
            alike = _are_alike(index.descriptors[i[some]], index.descriptors[j[some]])
            matches.append(np.stack([i[some][alike], j[some][alike]]).astype(np.int32))
    i, j = np.concatenate(matches, axis=1)
    del matches
    firsts = np.arange(0, int(index.slides.max()) + 1, _SLIDES_AT_ONCE)
    proposals = []
    for start, stop in pairwise([*np.searchsorted(index.slides, firsts).tolist(), len(index.slides)]):
        some = (i >= start) & (i < stop)
        proposals += _tally(index, i[some], j[some])
    return sorted(proposals, key=lambda proposal: (-proposal.votes, proposal.one, proposal.two, proposal.symmetry))


Near = Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]


def _near_ones(columns_DN: npt.NDArray[np.float32], split: int, is_one_cohort: bool) -> Near:
    """Keypoints before `split`, and those near them: further on, or behind `split` for two cohorts."""
    num = columns_DN.shape[1]
    for start in range(0, split, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, split))
        for begin in range(start if is_one_cohort else split, num, _BLOCK * 4):
            yield _near(columns_DN, rows, np.arange(begin, min(begin + _BLOCK * 4, num)))


def _near_ones_of_cells(columns_DN: npt.NDArray[np.float32]) -> Near:
    """Of every keypoint those near it in the cells whose centres are nearest to it; both ways round."""
    num = columns_DN.shape[1]
    centres = np.random.default_rng(0).choice(num, _CELLS_PER_ROOT * int(num**0.5), replace=False)
    nearest = np.empty((num, _NEAREST_CELLS), np.int32)
    for start in range(0, num, _BLOCK):
        rows = slice(start, start + _BLOCK)
        closeness = columns_DN[_SWAPPED, rows].T @ columns_DN[:, centres]
        some = np.argpartition(closeness, -_NEAREST_CELLS, axis=1)[:, -_NEAREST_CELLS:]
        order = np.argsort(-np.take_along_axis(closeness, some, axis=1), axis=1)
        nearest[rows] = np.take_along_axis(some, order, axis=1)
    members = _of_each(nearest[:, 0], len(centres))
    for visitors, own in zip(_of_each(nearest.ravel(), len(centres)), members, strict=True):
        for start in range(0, len(visitors), _BLOCK * 4):
            i, j = _near(columns_DN, visitors[start : start + _BLOCK * 4] // _NEAREST_CELLS, own)
            yield i, j
            yield j, i


def _of_each(cells: npt.NDArray[np.int32], num_cells: int) -> list[npt.NDArray[np.intp]]:
    """Which entries name each cell."""
    order = np.argsort(cells, kind="stable")
    return np.split(order, np.searchsorted(cells[order], np.arange(1, num_cells)))


def _near(
    columns_DN: npt.NDArray[np.float32], rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    # Half the squared distance of two unit vectors is one less their cosine.
    products = columns_DN[np.ix_(_SWAPPED, rows)].T @ columns_DN[:, columns]
    near = np.flatnonzero((products >= _ALIKE - 1.0).ravel())
    return rows[near // max(1, len(columns))], columns[near % max(1, len(columns))]


def _are_alike(one_ND: npt.NDArray[np.uint8], two_ND: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    one, two = one_ND.astype(np.float32), two_ND.astype(np.float32)
    squares = np.einsum("nd,nd->n", one, one) * np.einsum("nd,nd->n", two, two)
    return np.asarray((np.einsum("nd,nd->n", one, two) >= np.float32(_ALIKE) * np.sqrt(squares)) & (squares > 0))


def _project(descriptors: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """float32 (bins + 2, N): the projection, ones, and less half its squared length, a block at a time."""
    sample = unit_vectors(descriptors[:: max(1, len(descriptors) // 20_000)]).astype(np.float64)
    sample -= sample.mean(axis=0)
    _, vectors = np.linalg.eigh(sample.T @ sample)
    directions = vectors[:, -_PROJECTED_BINS:].astype(np.float32)
    columns_DN = np.ones((_PROJECTED_BINS + 2, len(descriptors)), np.float32)
    for start in range(0, len(descriptors), _BLOCK * 4):
        rows = slice(start, start + _BLOCK * 4)
        projected = unit_vectors(descriptors[rows]) @ directions
        columns_DN[:_PROJECTED_BINS, rows] = projected.T
        columns_DN[-1, rows] = -(projected**2).sum(axis=1) / 2
    return columns_DN


def _tally(index: KeypointIndex, i: npt.NDArray[np.int32], j: npt.NDArray[np.int32]) -> list[Proposal]:
    num_slides = int(index.slides.max()) + 1
    symmetry = COMPOSE[INVERSE[index.symmetries[j]], index.symmetries[i]]
    pair = (index.slides[i].astype(np.int64) * num_slides + index.slides[j]) * 8 + symmetry
    # Each keypoint votes once for a pair: the fewer of the two sides that took part count.
    pairs, votes = _voters(pair, i)
    _, more = _voters(pair, j)
    votes = np.minimum(votes, more)
    fewest = np.clip(np.bincount(index.slides) * _SHARE_OF_VOTES, _FEWEST_VOTES, _MOST_VOTES)
    one, two = np.divmod(pairs // 8, num_slides)
    enough = votes >= np.minimum(fewest[one], fewest[two])
    columns = (column[enough].tolist() for column in (one, two, pairs % 8, votes))
    return [Proposal(*row) for row in zip(*columns, strict=True)]


def _voters(
    pair: npt.NDArray[np.intp], keypoint: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The pairs in order, and how many different keypoints speak for each."""
    order = np.lexsort((keypoint, pair))
    pair, keypoint = pair[order], keypoint[order]
    new = np.r_[True, (pair[1:] != pair[:-1]) | (keypoint[1:] != keypoint[:-1])][: len(pair)]
    pairs, counts = np.unique(pair[new], return_counts=True)
    return pairs, counts
