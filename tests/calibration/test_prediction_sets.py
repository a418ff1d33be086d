"""Sets against MAPIE and crepes, which know nothing of each other, and their coverage."""

import json
import warnings

import numpy as np
import pytest
from benchmarks.conformal import simulate

from tilewise.calibration.prediction_sets import COVERAGE, SetThresholds, least_slides


def drawn(num, seed):
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(num, 4)) + [0.5, 0.5, 0.0, -1.0]
    odds = np.exp(logits)
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    return probabilities, np.array([rng.choice(4, p=row) for row in probabilities])


def without_the_most_probable(thresholds, probabilities, *, by_class):
    """The sets before the most probable class joins them, as the packages make them."""
    return probabilities >= (np.array(thresholds.by_class) if by_class else thresholds.overall)


@pytest.mark.parametrize("num", [10, 37, 160])
@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_overall_sets_are_mapie_s(num, coverage):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mapie.classification import SplitConformalClassifier
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Prefit(ClassifierMixin, BaseEstimator):
        """The probabilities are its features."""

        def fit(self, X, y):
            self.classes_ = np.arange(4)
            self.is_fitted_ = True
            return self

        def predict_proba(self, X):
            return np.asarray(X)

        def predict(self, X):
            return np.asarray(X).argmax(axis=1)

    probabilities, truth = drawn(num, seed=num)
    new, _ = drawn(200, seed=1)
    mapie = SplitConformalClassifier(Prefit().fit(None, None), confidence_level=coverage, prefit=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = mapie.conformalize(probabilities, truth).predict_set(new)[1][:, :, 0]
    thresholds = SetThresholds.fit(probabilities, truth, coverage)
    assert (without_the_most_probable(thresholds, new, by_class=False) == theirs).all()


@pytest.mark.parametrize("num", [37, 160, 400])
@pytest.mark.parametrize("by_class", [False, True])
def test_sets_are_those_of_crepes(num, by_class):
    from crepes import ConformalClassifier

    probabilities, truth = drawn(num, seed=num)
    new, _ = drawn(200, seed=1)
    scores = 1.0 - probabilities[np.arange(num), truth]
    # crepes keeps a p-value of exactly 0.1 in the set, the theorem needs those above it only.
    options = {"confidence": 0.9 - 1e-9, "smoothing": False}
    crepes = ConformalClassifier()
    if by_class:
        crepes.fit(scores, bins=truth)
        columns = (
            crepes.predict_set(1.0 - new[:, [label]], bins=np.full(len(new), label), **options) for label in range(4)
        )
        theirs = np.concatenate(list(columns), axis=1)
    else:
        crepes.fit(scores)
        theirs = crepes.predict_set(1.0 - new, **options)
    ours = without_the_most_probable(SetThresholds.fit(probabilities, truth), new, by_class=by_class)
    assert (ours == theirs.astype(bool)).all()


def test_a_class_of_few_slides_is_in_every_set():
    assert least_slides(0.9) == 9
    assert least_slides(0.8) == 4
    probabilities, truth = drawn(60, seed=0)
    few = np.concatenate([np.flatnonzero(truth == 3)[:8], np.flatnonzero(truth != 3)])
    thresholds = SetThresholds.fit(probabilities[few], truth[few])
    assert np.bincount(truth[few])[3] < 9
    assert thresholds.by_class[3] == 0.0
    assert thresholds.sets(drawn(100, seed=1)[0])[:, 3].all()


def test_no_set_is_empty_and_each_holds_the_predicted_class():
    thresholds = SetThresholds(0.9, 0.9, (0.9, 0.95, 0.9, 0.9))
    probabilities, _ = drawn(50, seed=3)
    for by_class in (False, True):
        sets = thresholds.sets(probabilities, by_class=by_class)
        assert sets[np.arange(50), probabilities.argmax(axis=1)].all()


@pytest.mark.parametrize("num_slides", [60, 160])
def test_coverage_is_nearly_as_promised_overall_and_for_each_class(num_slides):
    """Cross-fitted over folds, and deployed on fresh slides; the rarest class is one in ten."""
    result = simulate(num_slides, num_cohorts=120, seed=0)
    for coverage in (result.out_of_fold, *result.out_of_fold_classes, result.deployed, *result.deployed_classes):
        assert coverage > COVERAGE - 0.02


def test_what_is_written_is_what_is_read():
    thresholds = SetThresholds(0.9, 1 / 3, (0.1, 0.0, 2 / 3))
    assert SetThresholds.from_json(json.loads(json.dumps(thresholds.to_json()))) == thresholds
