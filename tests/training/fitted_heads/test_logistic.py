"""Logistic regression against scikit-learn's."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests.training.fitted_heads.test_lda import standardised
from tilewise.training.fitted_heads.logistic import fit_path


@pytest.mark.parametrize("shape", [(60, 8, 2), (61, 20, 3), (20, 70, 2), (25, 90, 4)])
@pytest.mark.parametrize("c", [0.001, 0.1, 3.0])
def test_it_is_scikit_learns_whether_features_or_slides_are_more(shape, c):
    vectors_SD, labels_S = standardised(*shape)
    weights_S = np.random.default_rng(2).uniform(0.5, 2.0, len(labels_S))
    (linear,) = fit_path(vectors_SD, labels_S, weights_S, [c], tolerance=1e-9)
    theirs = LogisticRegression(C=c, tol=1e-9, max_iter=5000).fit(vectors_SD, labels_S, weights_S)
    np.testing.assert_allclose(linear.probabilities(vectors_SD), theirs.predict_proba(vectors_SD), atol=1e-5)
    difference_CD = linear.coefficients_CD - linear.coefficients_CD[:1]
    theirs_CD = np.concatenate([0 * theirs.coef_, theirs.coef_]) if shape[2] == 2 else theirs.coef_ - theirs.coef_[:1]
    np.testing.assert_allclose(difference_CD, theirs_CD, atol=1e-4)


def test_each_c_is_fitted_as_if_alone():
    vectors_SD, labels_S = standardised(30, 50, 3)
    cs, weights_S = [0.001, 0.01, 0.1, 1.0], np.ones(30)
    for c, linear in zip(cs, fit_path(vectors_SD, labels_S, weights_S, cs, tolerance=1e-8), strict=True):
        (alone,) = fit_path(vectors_SD, labels_S, weights_S, [c], tolerance=1e-8)
        np.testing.assert_allclose(linear.probabilities(vectors_SD), alone.probabilities(vectors_SD), atol=1e-5)
