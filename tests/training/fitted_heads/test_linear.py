"""Linear functions of slides' vectors, of classes and features that did not occur too."""

import numpy as np

from tilewise.training.fitted_heads.linear import Linear

LINEAR = Linear(np.array([[1.0, -2.0], [0.5, 3.0]]), np.array([0.3, -4.0]))
VECTORS = np.random.default_rng(0).normal(size=(50, 2))


def test_probabilities_are_the_softmax_of_the_logits():
    odds_SC = np.exp(VECTORS @ LINEAR.coefficients_CD.T + LINEAR.intercepts_C)
    np.testing.assert_allclose(LINEAR.probabilities(VECTORS), odds_SC / odds_SC.sum(axis=1, keepdims=True))
    assert np.isfinite(LINEAR.probabilities(1e6 * VECTORS)).all()


def test_a_class_that_does_not_occur_is_next_to_impossible_and_the_others_are_as_before():
    whole = LINEAR.with_absent(np.array([0, 2]), 4)
    probabilities_SC = whole.probabilities(10 * VECTORS)
    assert probabilities_SC[:, [1, 3]].max() <= 1e-6
    assert probabilities_SC[:, [1, 3]].min() > 0
    np.testing.assert_allclose(probabilities_SC[:, [0, 2]], LINEAR.probabilities(10 * VECTORS), atol=2.1e-6)


def test_features_that_do_not_vary_count_nothing():
    whole = LINEAR.with_constant(np.array([False, True, False, True]))
    vectors_SD = np.random.default_rng(1).normal(size=(50, 4))
    np.testing.assert_array_equal(whole.probabilities(vectors_SD), LINEAR.probabilities(vectors_SD[:, [1, 3]]))
