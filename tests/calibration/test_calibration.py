import json

import numpy as np
import pytest

from tilewise.calibration.calibration import Calibration, columns, cross_fit
from tilewise.calibration.prediction_sets import SetThresholds
from tilewise.calibration.scaling import Scaling


def drawn(num=90, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=num)
    logits = rng.normal(size=(num, 3)) + 1.5 * np.eye(3)[truth]
    odds = np.exp(2.0 * logits)
    group = np.arange(num) // 2
    return odds / odds.sum(axis=1, keepdims=True), truth, group % 3, group


def test_a_fold_s_own_labels_and_scores_change_nothing_of_its_own():
    probabilities, truth, fold, group = drawn()
    before = cross_fit(probabilities, truth, fold, group)
    own = fold == 1
    changed = np.where(own, (truth + 1) % 3, truth)
    after = cross_fit(probabilities, changed, fold, group)
    for name in ("calibrated_NC", "sets_NC", "overall_sets_NC"):
        assert (getattr(before, name)[own] == getattr(after, name)[own]).all(), name
    assert not np.allclose(before.calibrated_NC[~own], after.calibrated_NC[~own])


def test_a_group_that_stands_in_several_folds_is_not_fitted_to():
    probabilities, truth, fold, group = drawn()
    joined = np.where(np.isin(group, (0, 1)), 0, group)  # folds 0 and 1
    before = cross_fit(probabilities, truth, fold, joined)
    changed = np.where((joined == 0) & (fold == 1), (truth + 1) % 3, truth)
    after = cross_fit(probabilities, changed, fold, joined)
    assert (before.calibrated_NC[fold == 0] == after.calibrated_NC[fold == 0]).all()


def test_each_fold_has_what_the_others_fit():
    probabilities, truth, fold, group = drawn()
    result = cross_fit(probabilities, truth, fold, group)
    for number in range(3):
        others = Calibration.fit(probabilities[fold != number], truth[fold != number])
        assert (result.calibrated_NC[fold == number] == others.scaling.apply(probabilities[fold == number])).all()
        assert (result.sets_NC[fold == number] == others.thresholds.sets(probabilities[fold == number])).all()


def test_calibration_lowers_the_loss_of_overconfident_scores():
    probabilities, truth, fold, group = drawn(300)
    own = np.arange(300), truth
    assert (
        -np.log(cross_fit(probabilities, truth, fold, group).calibrated_NC[own]).mean()
        < -np.log(probabilities[own]).mean() - 0.02
    )


@pytest.mark.parametrize(("num", "classes"), [(19, 3), (40, 2)])
def test_too_few_slides_have_no_probabilities_but_sets(num, classes):
    probabilities, truth, fold, group = drawn(num)
    truth %= classes  # of two classes the third has no slide
    assert Calibration.fit(probabilities, truth).scaling is None
    result = cross_fit(probabilities, truth, fold, group)
    assert result.calibrated_NC is None
    assert result.sets_NC.any(axis=1).all()


def test_one_fold_has_nothing_to_be_fitted_to():
    probabilities, truth, fold, group = drawn()
    result = cross_fit(probabilities, truth, np.zeros_like(fold), group)
    assert (result.calibrated_NC, result.sets_NC, result.overall_sets_NC) == (None, None, None)


def test_columns_are_named_by_classes():
    table = columns(np.array([[0.7, 0.3]]), np.array([[True, True]]), ("A", "B, C"))
    assert table["calibrated_A"].tolist() == [0.7]
    assert table["set_90"] == ["A|B, C"]
    assert columns(None, None, ("A", "B")) == {}


def test_what_is_written_is_what_is_read_and_none_is_none():
    for scaling in (None, Scaling(0.7, (0.1, 0.2))):
        calibration = Calibration(scaling, SetThresholds(0.9, 0.2, (0.1, 0.3)))
        assert Calibration.from_json(json.loads(json.dumps(calibration.to_json())), 2) == calibration
        with pytest.raises(ValueError, match="other classes"):
            Calibration.from_json(calibration.to_json(), 3)
    assert Calibration.from_json(None, 3) is None
