"""The classifier for arrays keeps scikit-learn's conventions."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

import tilewise as tw
from tests.one_thread import one_thread
from tilewise.errors import TrainingError
from tilewise.models import HeadConfig
from tilewise.training.config import TrainingConfig

__all__ = ["one_thread"]

FAST = TrainingConfig(epochs=10)


def make_bags(num=24):
    rng = np.random.default_rng(0)
    labels = np.array([7, 3, 5])[np.arange(num) % 3]
    return [rng.normal(np.arange(4) == label // 2, 0.3, (rng.integers(2, 7), 4)) for label in labels], labels


@pytest.mark.parametrize("aggregate", ["mean", "attention"])
def test_labels_of_any_kind_are_learnt_and_come_back(aggregate):
    bags, labels = make_bags()
    clf = tw.SlideClassifier(HeadConfig(aggregate=aggregate), FAST)
    assert clf.fit(bags, labels) is clf
    assert clf.classes_.tolist() == [3, 5, 7]
    probabilities = clf.predict_proba(bags)
    assert probabilities.shape == (24, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1.0, atol=1e-6)
    assert clf.predict(bags).tolist() == labels.tolist()
    assert clf.score(bags, labels) == 1.0
    assert clf.n_features_in_ == 4
    np.testing.assert_array_equal(clone(clf).fit(bags, labels).predict_proba(bags), probabilities)
    assert clf.predict_proba([]).shape == (0, 3)


def test_parameters_are_read_set_and_searched_over():
    bags, labels = make_bags()
    clf = tw.SlideClassifier(training=FAST)
    assert clf.get_params() == {"head": None, "training": FAST, "validation_fraction": 0.2, "random_state": 0}
    clf.set_params(validation_fraction=0.0, random_state=3)
    assert (clf.validation_fraction, clf.random_state) == (0.0, 3)
    array = np.empty(len(bags), object)
    array[:] = bags
    assert cross_val_score(clf, array, labels, cv=2).mean() > 0.8


def test_what_cannot_be_used_is_said():
    bags, labels = make_bags()
    with pytest.raises(NotFittedError):
        tw.SlideClassifier().predict(bags)
    with pytest.raises(ValueError, match="24 bags and 23 labels"):
        tw.SlideClassifier().fit(bags, labels[1:])
    for missing in (None, float("nan"), pd.NA):
        with pytest.raises(ValueError, match="label 2 is missing"):
            tw.SlideClassifier().fit(bags, [*labels[:2], missing, *labels[3:]])
    with pytest.raises(ValueError, match="validation_fraction=1"):
        tw.SlideClassifier(validation_fraction=1.0).fit(bags, labels)
    with pytest.raises(TrainingError, match="holds 7 only"):
        tw.SlideClassifier().fit(bags, [7] * 24)
    clf = tw.SlideClassifier(training=FAST).fit(bags, labels)
    with pytest.raises(ValueError, match=r"bag 1 has the shape \(0, 4\)"):
        clf.predict([bags[0], bags[1][:0]])
