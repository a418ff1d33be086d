"""Each way to fit a combiner, against independent implementations."""

import itertools

import numpy as np
import pytest

from tests.ensemble.made import CLASSES, make_runs, softmax
from tilewise.ensemble.examples import Examples
from tilewise.ensemble.fit import fit_combiner
from tilewise.ensemble.methods import METHODS
from tilewise.ensemble.stacking import fit_boosted, fit_logistic
from tilewise.ensemble.weights import greedy_weights, simplex_weights
from tilewise.errors import UsageError
from tilewise.inference.combiner import load_combiner, log_features


def examples(skills=(1.5, 0.7, 0.0), *, num=150, classes=3, weights=None, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(classes), rng.integers(classes, size=num - classes)])
    runs = np.stack([softmax(skill * np.eye(3)[truth] + rng.normal(size=(num, 3))) for skill in skills])
    return Examples(truth, np.arange(num) // 2, runs, np.ones(num) if weights is None else weights)


def loss(weights, inputs):
    mean = np.tensordot(weights, inputs.probabilities_RNC, axes=1)
    own = mean[np.arange(len(mean)), inputs.truth_N]
    return -(inputs.weights_N * np.log(own)).sum() / inputs.weights_N.sum()


@pytest.mark.parametrize("seed", range(3))
def test_simplex_weights_have_the_least_loss_of_a_fine_grid(seed):
    inputs = examples(seed=seed, weights=np.random.default_rng(seed).uniform(0.2, 3.0, 150))
    fitted = simplex_weights(inputs)
    steps = np.linspace(0.0, 1.0, 41)
    grid = [(a, b, 1.0 - a - b) for a, b in itertools.product(steps, steps) if a + b <= 1.0]
    assert sum(fitted) == pytest.approx(1.0)
    assert min(fitted) >= 0.0
    assert loss(np.array(fitted), inputs) <= min(loss(np.array(one), inputs) for one in grid) + 1e-7


def test_a_run_without_skill_gets_no_weight_and_two_alike_do_no_harm():
    inputs = examples((2.0, 0.0))
    assert simplex_weights(inputs)[0] > 0.8
    twice = Examples(inputs.truth_N, inputs.group_N, inputs.probabilities_RNC[[0, 0, 1]], inputs.weights_N)
    assert loss(np.array(simplex_weights(twice)), twice) == pytest.approx(
        loss(np.array(simplex_weights(inputs)), inputs)
    )


def test_greedy_prefers_the_run_that_is_right_and_is_the_same_each_time():
    fitted = greedy_weights(examples((3.0, 0.0, 0.0)), seed=1)
    assert fitted[0] > 0.8
    assert sum(fitted) == pytest.approx(1.0)
    assert fitted == greedy_weights(examples((3.0, 0.0, 0.0)), seed=1)


def test_bagging_keeps_greedy_from_betting_on_one_of_equals():
    weights = np.array([greedy_weights(examples((1.0, 1.0, 1.0), num=60, seed=seed), seed=0) for seed in range(4)])
    assert weights.max() < 0.9


@pytest.mark.parametrize("classes", [3, 2])
def test_logistic_predicts_what_scikit_learn_predicts(classes):
    from sklearn.linear_model import LogisticRegression

    inputs = examples(classes=classes, weights=np.random.default_rng(0).uniform(0.5, 2.0, 150))
    fitted = fit_logistic(inputs)
    assert fitted.classes == tuple(range(classes))
    features = log_features(inputs.probabilities_RNC)
    # By another of its solvers.
    theirs = LogisticRegression(C=0.1, solver="newton-cholesky", tol=1e-8).fit(
        features, inputs.truth_N, inputs.weights_N
    )
    mine = fitted.apply(inputs.probabilities_RNC)
    rest = inputs.probabilities_RNC.mean(axis=0)[:, classes:].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(mine[:, :classes], theirs.predict_proba(features) * (1 - rest), rtol=1e-3)
    np.testing.assert_allclose(mine[:, classes:], inputs.probabilities_RNC.mean(axis=0)[:, classes:], rtol=1e-12)


@pytest.mark.parametrize("one_vs_rest", [False, True], ids=["multiclass", "ovr"])
def test_boosting_predicts_what_lightgbm_predicts(one_vs_rest):
    import lightgbm

    inputs = examples()
    fitted = fit_boosted(inputs, one_vs_rest=one_vs_rest, seed=3)
    features = log_features(inputs.probabilities_RNC)
    mean = np.clip(inputs.probabilities_RNC.mean(axis=0), 1e-3, 1 - 1e-3)
    if one_vs_rest:
        raw = [lightgbm.Booster(model_str=text).predict(features, raw_score=True) for text in fitted.models]
        each = 1 / (1 + np.exp(-(np.log(mean / (1 - mean)) + np.stack(raw, axis=1))))
        expected = each / each.sum(axis=1, keepdims=True)
    else:
        expected = softmax(
            np.log(mean) + lightgbm.Booster(model_str=fitted.models[0]).predict(features, raw_score=True)
        )
    np.testing.assert_allclose(fitted.apply(inputs.probabilities_RNC), expected, rtol=1e-9)
    assert fitted == fit_boosted(inputs, one_vs_rest=one_vs_rest, seed=3), "the same trees each time"


def test_boosting_learns_from_its_start():
    """The start handed to LightGBM class by class is the one added again in prediction: training lowers the loss."""
    inputs = examples((0.3, 0.3, 2.5), num=300)
    plain = inputs.probabilities_RNC.mean(axis=0)
    rows = np.arange(300)
    for one_vs_rest in (False, True):
        combined = fit_boosted(inputs, one_vs_rest=one_vs_rest, seed=0).apply(inputs.probabilities_RNC)
        assert -np.log(combined[rows, inputs.truth_N]).mean() < -np.log(plain[rows, inputs.truth_N]).mean() - 0.05


@pytest.mark.parametrize("method", METHODS)
def test_every_method_survives_its_file_and_gives_probabilities(method):
    inputs = examples()
    combiner = fit_combiner(method, inputs, seed=0)
    again = load_combiner(combiner.to_json(), num_runs=3, num_classes=3)
    fitted = again.apply(inputs.probabilities_RNC)
    np.testing.assert_array_equal(fitted, combiner.apply(inputs.probabilities_RNC))
    np.testing.assert_allclose(fitted.sum(axis=1), 1.0, rtol=1e-12)
    assert (fitted >= 0.0).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_slide_is_combined_alike_alone_and_among_others(method):
    inputs = examples()
    combiner = fit_combiner(method, inputs, seed=0)
    together = combiner.apply(inputs.probabilities_RNC)
    for row in (0, 17, 149):
        np.testing.assert_array_equal(combiner.apply(inputs.probabilities_RNC[:, row : row + 1])[0], together[row])


@pytest.mark.parametrize("method", METHODS)
def test_certain_and_impossible_classes_do_not_break_a_fit(method):
    inputs = examples()
    hard = np.eye(3)[inputs.probabilities_RNC.argmax(axis=2)]
    fitted = fit_combiner(method, Examples(inputs.truth_N, inputs.group_N, hard, inputs.weights_N), seed=0).apply(hard)
    assert np.isfinite(fitted).all()


def test_classes_are_weighed_and_a_slide_counts_once_however_often_it_is_selected():
    run = make_runs([1.0], num_slides=36)[0]
    table = run.rows()
    validation = table[table["part"] == "validation"]
    plain = Examples.of([validation], CLASSES, "none")
    assert plain.weights_N == pytest.approx(1.0)
    balanced = Examples.of([validation], CLASSES, "inverse")
    sums = np.bincount(balanced.truth_N, balanced.weights_N)
    np.testing.assert_allclose(sums, sums.mean(), rtol=1e-12)
    again = validation[validation["fold"] == 0].assign(fold=7)
    import pandas as pd

    repeated = Examples.of([pd.concat([validation, again])], CLASSES, "none")
    twice = np.isin(np.arange(len(repeated.truth_N)), [*range(12), *range(36, 48)])
    np.testing.assert_allclose(repeated.weights_N[twice] * 2, repeated.weights_N[~twice][0], rtol=1e-12)


def test_a_select_part_of_one_class_is_named():
    run = make_runs([1.0], num_slides=36)[0]
    rows = run.rows()
    with pytest.raises(UsageError, match="of B only"):
        Examples.of([rows[(rows["part"] == "validation") & (rows["label"] == "B")]], CLASSES, "none")
