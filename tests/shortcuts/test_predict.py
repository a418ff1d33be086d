"""The test that labels have nothing to do with some numbers: right level, right predictions, power."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from tilewise.evaluation.compare import holm
from tilewise.metrics import macro_f1
from tilewise.shortcuts.predict import _folds, _logits, _shufflings, _true_probability, predict_from
from tilewise.shortcuts.traits import normal_scores

SHARES = (0.30, 0.32, 0.27, 0.11)


def cohort(rng, *, num_slides=60, most_per_group=3):
    """Labels that whole groups share, and groups of one to three slides."""
    groups_S = np.repeat(np.arange(num_slides), rng.integers(1, most_per_group + 1, num_slides))[:num_slides]
    labels_G = rng.choice(4, groups_S.max() + 1, p=SHARES)
    return np.unique(labels_G[groups_S], return_inverse=True)[1], groups_S


def test_labels_that_have_nothing_to_do_with_the_numbers_are_accused_as_often_as_the_level_says():
    rng = np.random.default_rng(0)
    num_accused, num_cohorts = 0, 200
    for seed in range(num_cohorts):
        labels_S, groups_S = cohort(rng)
        traits = [normal_scores(rng.normal(size=(groups_S.max() + 1, k))[groups_S]) for k in (1, 3, 5)]
        p_values = [predict_from(one, labels_S, groups_S, num_permutations=99, seed=seed).p_value for one in traits]
        num_accused += min(holm(dict(enumerate(p_values))).values()) <= 0.05
    assert num_accused <= binom.ppf(0.99, num_cohorts, 0.05)


def test_sizes_of_groups_that_go_with_the_label_are_no_shortcut():
    """A class of large groups: shuffling single slides, or groups of any size, would take the sizes for skill."""
    rng = np.random.default_rng(1)
    p_values = []
    for seed in range(60):
        sizes = [4] * 8 + [1] * 28
        groups_S = np.repeat(np.arange(36), sizes)
        labels_S = np.where(np.arange(36) < 8, rng.random(36) < 0.8, rng.random(36) < 0.2).astype(int)[groups_S]
        columns_SK = normal_scores(rng.normal(size=(36, 2))[groups_S])
        p_values.append(predict_from(columns_SK, labels_S, groups_S, num_permutations=99, seed=seed).p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= binom.ppf(0.99, 60, 0.05) / 60


def test_a_class_in_the_middle_is_told():
    rng = np.random.default_rng(2)
    labels_S = rng.integers(0, 2, 60)
    sizes_S = np.where(labels_S == 1, 100.0, rng.choice([10.0, 1e6], 60)) * rng.uniform(0.9, 1.1, 60)
    one = predict_from(normal_scores(sizes_S[:, None]), labels_S, np.arange(60), num_permutations=199, seed=0)
    assert one.p_value == 1 / 200
    assert macro_f1(labels_S, one.predicted_S, 2) > 0.75


def test_groups_that_cannot_exchange_labels_accuse_nobody():
    groups_S = np.repeat(np.arange(4), [1, 2, 3, 4])
    labels_S = np.array([0, 1, 0, 1])[groups_S]
    columns_SK = normal_scores(labels_S[:, None] + 0.0)
    assert predict_from(columns_SK, labels_S, groups_S, num_permutations=50, seed=0).p_value == 1.0


def discriminant(train_SK, labels_S, test_SK, num_classes):
    """The same by hand, one labelling at a time."""
    means = [train_SK[labels_S == c].mean(axis=0) if (labels_S == c).any() else None for c in range(num_classes)]
    rest = train_SK - np.array([means[label] for label in labels_S])
    within = train_SK.T @ train_SK - sum(
        (labels_S == c).sum() * np.outer(m, m) for c, m in enumerate(means) if m is not None
    )
    within = within / len(train_SK)
    np.testing.assert_allclose(within, rest.T @ rest / len(train_SK), atol=1e-9)
    spread = np.trace(within) / len(within)
    inverse = np.linalg.inv(0.9 * within + (0.1 * spread + 1e-9) * np.eye(len(within)))
    logits = [
        np.full(len(test_SK), -np.inf) if mean is None else test_SK @ inverse @ mean - 0.5 * mean @ inverse @ mean
        for mean in means
    ]
    return np.argmax(logits, axis=0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), num_slides=st.integers(8, 30), num_columns=st.integers(1, 4))
def test_many_labellings_at_once_are_predicted_as_one_after_the_other(seed, num_slides, num_columns):
    rng = np.random.default_rng(seed)
    columns_SK = rng.normal(size=(num_slides, num_columns))
    fold_S = _folds(np.arange(num_slides), rng)
    truth_PS = rng.integers(0, 3, (4, num_slides))
    predicted_PS = _logits(columns_SK, truth_PS, fold_S, 3).argmax(axis=2)
    for truth_S, predicted_S in zip(truth_PS, predicted_PS, strict=True):
        for fold in np.unique(fold_S):
            train, test = fold_S != fold, fold_S == fold
            expected = discriminant(columns_SK[train], truth_S[train], columns_SK[test], 3)
            np.testing.assert_array_equal(predicted_S[test], expected)


def test_the_probability_of_the_true_class_counts_every_class_alike():
    probabilities_SC = np.array([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5]])
    score = _true_probability(np.log(probabilities_SC)[None], np.array([[0, 1, 1]]))
    np.testing.assert_allclose(score, [(0.7 + (0.8 + 0.5) / 2) / 2])


@given(seed=st.integers(0, 2**16), sizes=st.lists(st.integers(1, 4), min_size=2, max_size=12))
def test_only_groups_of_one_size_exchange_their_labels_and_folds_keep_groups(seed, sizes):
    rng = np.random.default_rng(seed)
    groups_S = np.repeat(np.arange(len(sizes)), sizes)
    labels_S = rng.integers(0, 3, len(groups_S))
    blocks = [tuple(sorted(labels_S[groups_S == group])) for group in range(len(sizes))]
    for shuffled_S in _shufflings(labels_S, groups_S, 3, rng):
        others = [tuple(sorted(shuffled_S[groups_S == group])) for group in range(len(sizes))]
        for size in set(sizes):
            assert sorted(b for b in blocks if len(b) == size) == sorted(b for b in others if len(b) == size)
    fold_S = _folds(groups_S, rng)
    assert all(len(set(fold_S[groups_S == group])) == 1 for group in range(len(sizes)))


@pytest.mark.parametrize(
    ("p_values", "corrected"),
    [([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]), ([0.5, 0.9], [1.0, 1.0]), ([], []), ([0.02], [0.02])],
)
def test_holm(p_values, corrected):
    assert list(dict(sorted(holm(dict(enumerate(p_values))).items())).values()) == pytest.approx(corrected)
