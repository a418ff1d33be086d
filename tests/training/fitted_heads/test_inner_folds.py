"""Folds inside a train part keep groups together and classes learnable."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewise.training.fitted_heads.inner_folds import NUM_FOLDS, inner_folds

SLIDES = st.lists(st.tuples(st.integers(0, 3), st.one_of(st.none(), st.sampled_from("abcdefgh"))), min_size=2)


@settings(max_examples=150)
@given(SLIDES, st.integers(0, 2**63 - 1))
def test_no_group_is_ever_parted(slides, seed):
    labels_S, groups = np.array([label for label, _ in slides]), [group for _, group in slides]
    folds = inner_folds(labels_S, groups, seed=seed)
    assert len(folds) <= NUM_FOLDS
    scored = [slide for _, test in folds for slide in test.tolist()]
    assert len(scored) == len(set(scored))
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(len(slides)))
        assert not {groups[slide] for slide in train} & {groups[slide] for slide in test} - {None}
        assert len(set(labels_S[train])) > 1


@settings(max_examples=100)
@given(SLIDES, st.integers(0, 100))
def test_what_is_the_only_group_of_a_class_is_always_learnt_from(slides, seed):
    labels_S = np.array([label for label, _ in slides])
    groups = [group or f"alone-{slide}" for slide, (_, group) in enumerate(slides)]
    for label in set(labels_S):
        own = {groups[slide] for slide in np.flatnonzero(labels_S == label)}
        if len(own) == 1:
            for train, _ in inner_folds(labels_S, groups, seed=seed):
                assert own <= {groups[slide] for slide in train}


@settings(max_examples=60)
@given(st.lists(st.integers(2, 9), min_size=2, max_size=4), st.integers(0, 100))
def test_slides_of_their_own_are_all_scored_once_by_models_that_know_every_class(counts, seed):
    labels_S = np.repeat(np.arange(len(counts)), counts)
    folds = inner_folds(labels_S, [None] * len(labels_S), seed=seed)
    assert sorted(np.concatenate([test for _, test in folds]).tolist()) == list(range(len(labels_S)))
    for train, _ in folds:
        assert set(labels_S[train]) == set(range(len(counts)))


def test_the_seed_decides_and_nothing_else():
    labels_S, groups = np.arange(40) % 2, [str(slide // 4) for slide in range(40)]
    first, again, other = (inner_folds(labels_S, groups, seed=seed) for seed in (1, 1, 2))
    assert all((a[1] == b[1]).all() for a, b in zip(first, again, strict=True))
    assert any(a[1].tolist() != b[1].tolist() for a, b in zip(first, other, strict=True))


def test_nothing_can_be_scored_where_a_single_class_has_two_groups():
    assert inner_folds(np.array([0, 1]), [None, None], seed=0) == []
    assert inner_folds(np.array([0, 0, 0, 1, 1]), [None, None, None, "one", "one"], seed=0) == []
