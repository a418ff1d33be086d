"""The classifier for arrays keeps scikit-learn's conventions."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_val_score
from sklearn.utils.estimator_checks import check_estimator

import tilewise as tw
from tests.one_thread import one_thread
from tilewise.errors import ArgumentError
from tilewise.models import HeadConfig
from tilewise.training_config.training import TrainingConfig

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


@pytest.mark.parametrize("kind", ["lda", "logistic"])
def test_fitted_heads_learn_from_all_slides_and_keep_groups_together(kind):
    bags, labels = make_bags()
    clf = tw.SlideClassifier(HeadConfig(kind=kind)).fit(bags, labels)
    assert clf.score(bags, labels) == 1.0
    assert len(clf.model_.origin) == 0
    same = clone(clf).set_params(validation_fraction=0.5).fit(bags, labels)
    np.testing.assert_array_equal(same.predict_proba(bags), clf.predict_proba(bags))
    grouped = clone(clf).fit(bags, labels, groups=np.arange(24) // 3)
    if kind == "lda":  # its temperature moves with the groups; of nine penalties the same one may be best
        assert not np.array_equal(grouped.predict_proba(bags), clf.predict_proba(bags))
    order = np.random.default_rng(0).permutation(24)
    turned = clone(clf).fit([bags[i] for i in order], labels[order], groups=(np.arange(24) // 3)[order])
    np.testing.assert_array_equal(turned.predict_proba(bags), grouped.predict_proba(bags))
    with pytest.raises(ValueError, match="24 bags and 23 groups"):
        clf.fit(bags, labels, groups=np.arange(23))
    with pytest.raises(ValueError, match=f"training.epochs has no effect with head.kind={kind}"):
        tw.SlideClassifier(HeadConfig(kind=kind), FAST).fit(bags, labels)


def test_parameters_are_read_set_and_searched_over():
    bags, labels = make_bags()
    clf = tw.SlideClassifier(training=FAST)
    assert clf.get_params() == {"head": None, "training": FAST, "validation_fraction": 0.2, "random_state": 0}
    assert repr(clf) == "SlideClassifier(training=TrainingConfig(epochs=10))"
    clf.set_params(validation_fraction=0.0, random_state=3)
    assert (clf.validation_fraction, clf.random_state) == (0.0, 3)
    array = np.empty(len(bags), object)
    array[:] = bags
    assert cross_val_score(clf, array, labels, cv=2).mean() > 0.8


def test_a_list_of_bags_is_split_by_group():
    bags, labels = make_bags()
    groups = np.arange(len(bags)) // 2
    scores = cross_val_score(tw.SlideClassifier(training=FAST), bags, labels, groups=groups, cv=StratifiedGroupKFold(2))
    assert scores.mean() > 0.8
    search = GridSearchCV(tw.SlideClassifier(training=FAST), {"head": [HeadConfig(), HeadConfig(kind="mlp")]}, cv=2)
    assert search.fit(bags, labels).best_score_ > 0.8


class RowsAsBags(tw.SlideClassifier):
    """Each row of a table is a bag of one tile."""

    def fit(self, X, y):
        return super().fit(self._bags(X), y)

    def predict_proba(self, X):
        return super().predict_proba(self._bags(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags

    @staticmethod
    def _bags(X):
        if hasattr(X, "toarray"):
            return [X]
        X = np.asarray(X)
        return X[:, None, :] if X.ndim == 2 else X


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")  # of a table of NaN
def test_scikit_learns_own_checks_pass_where_each_bag_is_one_tile():
    results = check_estimator(RowsAsBags(training=FAST), on_skip=None)
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert len(results) > 50


def test_what_cannot_be_used_is_said_in_words_of_arrays():
    bags, labels = make_bags()

    def fit(some_bags=bags, some_labels=labels, **parameters):
        tw.SlideClassifier(**parameters).fit(some_bags, some_labels)

    with pytest.raises(NotFittedError):
        tw.SlideClassifier().predict(bags)
    nan = [*bags[:2], np.full((3, 4), np.nan), *bags[3:]]
    short = [*bags[:2], bags[2][:, :3], *bags[3:]]
    for message, call in {
        "24 bags and 23 labels": lambda: fit(some_labels=labels[1:]),
        "labels: every label is .*7.*, one class": lambda: fit(some_labels=[7] * 24),
        "labels: Unknown label type: continuous": lambda: fit(some_labels=np.linspace(0, 1, 24)),
        "bags: expected a list of arrays .N, D., not a list_iterator": lambda: fit(iter(bags)),
        "bag 2: Input contains NaN": lambda: fit(nan),
        "bag 2: X has 3 features, but SlideClassifier is expecting 4": lambda: fit(short),
        "bag 0: Expected 2D array, got 1D array": lambda: fit([bag[0] for bag in bags]),
        "validation_fraction=1": lambda: fit(validation_fraction=1.0),
        "random_state=None: expected a whole number": lambda: fit(random_state=None),
        "head: expected a HeadConfig, such as recipe.head, or None, not a Recipe": lambda: fit(
            head=tw.load_recipe("default")
        ),
        "training.input=tiles trains networks on pixels": lambda: fit(training=TrainingConfig(input="tiles")),
        "training.weight has no effect with head.aggregate=attention": lambda: fit(
            head=HeadConfig(aggregate="attention"), training=TrainingConfig(weight="tile")
        ),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()
    for missing in (None, float("nan"), pd.NA):
        with pytest.raises(ValueError, match="label 2 is missing"):
            fit(some_labels=[*labels[:2], missing, *labels[3:]])
    clf = tw.SlideClassifier(training=FAST).fit(bags, labels)
    with pytest.raises(ArgumentError, match=r"bag 1: Found array with 0 sample\(s\) \(shape=\(0, 4\)\)"):
        clf.predict([bags[0], bags[1][:0]])
