from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewise.auditing.copies.descriptors import NUM_BINS
from tilewise.auditing.copies.propose import _ALIKE, KeypointIndex, propose


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 3]))
def test_blocks_and_projection_miss_nothing_brute_force_finds(seed: int, num_first: int | None) -> None:
    rng = np.random.default_rng(seed)
    seeds = rng.random((40, NUM_BINS))
    descriptors = np.abs(seeds[rng.integers(40, size=240)] + rng.normal(size=(240, NUM_BINS)) * 0.12)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    slides = np.repeat(np.arange(6), 40)
    index = KeypointIndex(descriptors.astype(np.float32), slides, np.zeros(240, dtype=np.intp))
    expected = {}
    for one in range(6):
        for two in range(one + 1, 6):
            if num_first is not None and not one < num_first <= two:
                continue
            alike = descriptors[slides == one] @ descriptors[slides == two].T >= _ALIKE
            votes = min(alike.any(axis=1).sum(), alike.any(axis=0).sum())
            if votes >= 3:
                expected[one, two] = votes
    votes = {(each.one, each.two): each.votes for each in propose(index, num_first=num_first)}
    assert votes == expected


def test_no_keypoints_no_proposals() -> None:
    empty = KeypointIndex(np.empty((0, NUM_BINS), np.float32), np.empty(0, np.intp), np.empty(0, np.intp))
    assert propose(empty) == []
