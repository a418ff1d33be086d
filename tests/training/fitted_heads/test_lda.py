"""Shrinkage LDA against scikit-learn's, and where there is little to estimate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from tilewise.training.fitted_heads.lda import fit_lda, ledoit_wolf_share


def standardised(num_slides: int, num_features: int, num_classes: int, seed: int = 0):
    """Correlated features whose first ones tell the class."""
    rng = np.random.default_rng(seed)
    labels_S = np.arange(num_slides) % num_classes
    vectors_SD = rng.normal(size=(num_slides, num_features)) @ rng.normal(size=(num_features, num_features))
    vectors_SD[:, :num_classes] += 2.0 * np.eye(num_classes, num_features)[labels_S][:, :num_classes]
    return (vectors_SD - vectors_SD.mean(axis=0)) / vectors_SD.std(axis=0), labels_S


SHAPES = [(60, 8, 2), (61, 20, 3), (20, 70, 2), (19, 90, 4), (7, 30, 3), (40, 40, 2)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("solver", ["lsqr", "eigen"])
def test_it_is_scikit_learns_with_the_share_of_ledoit_and_wolf(shape, solver):
    vectors_SD, labels_S = standardised(*shape)
    counts_C = np.bincount(labels_S)
    fit = fit_lda(vectors_SD, labels_S, counts_C / len(labels_S))
    means_CD = np.stack([vectors_SD[labels_S == label].mean(axis=0) for label in range(shape[2])])
    share = ledoit_wolf_shrinkage(vectors_SD - means_CD[labels_S], assume_centered=True)
    theirs = LinearDiscriminantAnalysis(solver=solver, shrinkage=share).fit(vectors_SD, labels_S)
    assert fit.shrinkage == pytest.approx(share, rel=1e-9)
    assert share > 0
    new_SD = np.random.default_rng(1).normal(size=(30, shape[1]))
    np.testing.assert_allclose(fit.linear.probabilities(new_SD), theirs.predict_proba(new_SD), atol=1e-9)


def test_where_every_class_is_large_it_agrees_with_shrinkage_auto():
    labels_S = np.arange(3000) % 3
    vectors_SD = np.random.default_rng(0).normal(size=(3000, 12)) + np.eye(3, 12)[labels_S]
    vectors_SD /= vectors_SD.std(axis=0)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(vectors_SD, labels_S)
    ours = fit_lda(vectors_SD, labels_S, np.full(3, 1 / 3)).linear
    np.testing.assert_allclose(ours.probabilities(vectors_SD), theirs.predict_proba(vectors_SD), atol=0.06)


def test_priors_shift_the_logits_and_nothing_else():
    vectors_SD, labels_S = standardised(50, 9, 2)
    one, other = (fit_lda(vectors_SD, labels_S, np.array(priors)).linear for priors in ([0.5, 0.5], [0.9, 0.1]))
    np.testing.assert_array_equal(one.coefficients_CD, other.coefficients_CD)
    np.testing.assert_allclose(other.intercepts_C - one.intercepts_C, np.log([0.9, 0.1]) - np.log(0.5))


@settings(max_examples=40)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 10_000))
def test_the_share_is_scikit_learns(num_slides, num_features, seed):
    centred_SD = np.random.default_rng(seed).normal(size=(num_slides, num_features))
    if num_slides == 1:
        assert 0.0 <= ledoit_wolf_share(centred_SD) <= 1.0
        return
    expected = ledoit_wolf_shrinkage(centred_SD, assume_centered=True)
    assert ledoit_wolf_share(centred_SD) == pytest.approx(max(expected, 0.0), abs=1e-9)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 3), min_size=2, max_size=4), st.integers(1, 40), st.integers(0, 10_000))
def test_any_number_of_slides_gives_probabilities(counts, num_features, seed):
    labels_S = np.repeat(np.arange(len(counts)), counts)
    vectors_SD = np.random.default_rng(seed).normal(size=(len(labels_S), num_features))
    linear = fit_lda(vectors_SD, labels_S, np.full(len(counts), 1 / len(counts))).linear
    probabilities_SC = linear.probabilities(vectors_SD)
    assert np.isfinite(probabilities_SC).all()
    np.testing.assert_allclose(probabilities_SC.sum(axis=1), 1.0)


def test_slides_of_one_class_that_do_not_differ_leave_the_nearest_mean():
    vectors_SD, labels_S = np.array([[1.0, -1.0], [-1.0, 1.0], [1.0, -1.0]]), np.array([0, 1, 0])
    fit = fit_lda(vectors_SD, labels_S, np.array([0.5, 0.5]))
    assert fit.shrinkage is None
    assert fit.linear.probabilities(np.array([[0.2, 0.0], [-0.2, 0.0]])).argmax(axis=1).tolist() == [0, 1]
    np.testing.assert_allclose(fit.linear.probabilities(np.zeros((1, 2))), 0.5)


def test_features_that_are_copies_of_each_other_share_their_weight():
    vectors_SD, labels_S = standardised(2000, 1, 2)
    alone = fit_lda(vectors_SD, labels_S, np.array([0.5, 0.5])).linear.coefficients_CD
    doubled = fit_lda(np.repeat(vectors_SD, 2, axis=1), labels_S, np.array([0.5, 0.5])).linear.coefficients_CD
    np.testing.assert_allclose(doubled, np.repeat(alone, 2, axis=1) / 2, rtol=1e-2)
