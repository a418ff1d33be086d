from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewise.auditing.copies import propose as module
from tilewise.auditing.copies.descriptors import NUM_BINS, SCALE
from tilewise.auditing.copies.propose import _ALIKE, KeypointIndex, propose


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 3]))
def test_blocks_and_projection_miss_nothing_brute_force_finds(seed: int, num_first: int | None) -> None:
    rng = np.random.default_rng(seed)
    seeds = rng.random((40, NUM_BINS))
    descriptors = np.abs(seeds[rng.integers(40, size=240)] + rng.normal(size=(240, NUM_BINS)) * 0.12)
    stored = np.rint(descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True) * SCALE).astype(np.uint8)
    slides = np.repeat(np.arange(6), 40)
    index = KeypointIndex(stored, slides, np.zeros(240, dtype=np.intp))
    descriptors = stored / np.linalg.norm(stored.astype(float), axis=1, keepdims=True)
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


@pytest.mark.parametrize("num_first", [None, 150])
def test_cells_find_nearly_all_that_is_found_without_them(
    num_first: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    strangers = np.abs(rng.normal(size=(200, 40, NUM_BINS)))
    # Each of the last hundred slides is a copy of one of the first, with noise that keeps a cosine of about 0.975.
    copies = np.abs(strangers[:100] + rng.normal(size=(100, 40, NUM_BINS)) * 0.2)
    descriptors = np.concatenate([strangers, copies]).reshape(-1, NUM_BINS)
    stored = np.rint(descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True) * SCALE).astype(np.uint8)
    index = KeypointIndex(stored, np.repeat(np.arange(300), 40), np.zeros(len(stored), dtype=np.intp))
    expected = {(each.one, each.two): each.votes for each in propose(index, num_first=num_first)}
    assert len(expected) == 100
    monkeypatch.setattr(module, "_MOST_COMPARED", 0)
    votes = {(each.one, each.two): each.votes for each in propose(index, num_first=num_first)}
    assert votes.keys() == expected.keys()
    assert all(votes[pair] <= expected[pair] for pair in expected)
    assert sum(votes.values()) > 0.9 * sum(expected.values())


def test_no_keypoints_no_proposals() -> None:
    empty = KeypointIndex(np.empty((0, NUM_BINS), np.uint8), np.empty(0, np.intp), np.empty(0, np.intp))
    assert propose(empty) == []
