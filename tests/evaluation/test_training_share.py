"""What training on other slides adds to the variance, against figures by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.evaluation.conftest import CLASSES, MakeTable
from tilewise.evaluation.resample import METRICS
from tilewise.evaluation.sample import Sample
from tilewise.evaluation.training_share import training_share


def parts_of(table: pd.DataFrame) -> list[Sample]:
    """Each slide of a fold is in the validation part of the next."""
    moved = table.assign(fold=(table["fold"] + 1) % table["fold"].nunique())
    return [Sample.of(part, CLASSES) for _, part in moved.groupby("fold")]


def test_models_that_agree_add_nothing(make_table: MakeTable) -> None:
    table = make_table(60, skill=1.0, num_groups=30)
    share = training_share(Sample.of(table, CLASSES), parts_of(table))
    assert share.whole == dict.fromkeys(METRICS, 0.0)
    assert share.added("auroc_macro", _resamples(0.5 * share.auroc_variance)) == pytest.approx(1.0)
    assert share.added("auroc_macro", _resamples(2.0 * share.auroc_variance)) == 0.0
    assert all((values == 0.0).all() for values in share.by_class.values())
    assert share.is_measured


def test_no_second_prediction_is_counted_as_noise(make_table: MakeTable) -> None:
    table = make_table(30)
    others = parts_of(table.assign(slide="other_" + table["slide"]))
    for validation in ([], others):
        share = training_share(Sample.of(table, CLASSES), validation)
        assert share.whole == dict.fromkeys(METRICS, 1.0)
        assert not share.is_measured


@pytest.mark.parametrize(("num_folds", "overlap"), [(3, 0.0), (5, 2 / 3)])
def test_share_of_accuracy_by_hand(make_table: MakeTable, num_folds: int, overlap: float) -> None:
    """Slides are groups of one, and three of ten are right in one of the predictions only.

    Of five folds the model that tests a part learns from three others, and the model that it stops from two of these.
    """
    table = make_table(60, skill=1.0, num_folds=num_folds).sort_values("slide", ignore_index=True)
    sample = Sample.of(table, CLASSES)
    is_right = (table["predicted"] == table["label"]).to_numpy()
    changes = np.arange(60) % 10 < 3
    wrong = np.asarray(CLASSES, object)[(sample.truth_N + 1) % 3]
    second = np.where(is_right ^ changes, table["label"], wrong)
    share = training_share(sample, parts_of(table.assign(predicted=second)))
    expected = 0.5 * changes.mean() / is_right.var(ddof=1) / np.sqrt(1.0 - overlap)
    assert share.whole["accuracy"] == pytest.approx(0.6 * min(1.0, expected), rel=1e-3)
    assert expected < 1.5


def test_noise_adds_as_much_as_it_can(make_table: MakeTable) -> None:
    table, second = make_table(150, skill=0.0, num_folds=5), make_table(150, skill=0.0, num_folds=5, seed=1)
    columns = [f"p_{name}" for name in CLASSES]
    other = table.assign(predicted=second["predicted"], **{name: second[name] for name in columns})
    share = training_share(Sample.of(table, CLASSES), parts_of(other))
    alike = training_share(Sample.of(table, CLASSES), parts_of(table))
    assert share.whole["accuracy"] == pytest.approx(0.6, abs=0.1)
    assert share.auroc_variance > 1.5 * alike.auroc_variance
    assert (share.class_auroc_variance > 1.3 * alike.class_auroc_variance).all()


def _resamples(variance: float) -> np.ndarray:
    return 0.5 + np.sqrt(variance / 2.0) * np.array([-1.0, 1.0])


def test_models_of_the_same_slides_say_nothing(make_table: MakeTable) -> None:
    """Of four groups, two whose models validate by each other's test part learn from the same two others."""
    table = make_table(40, num_folds=4)
    moved = table.assign(fold=table["fold"] ^ 1)
    share = training_share(Sample.of(table, CLASSES), [Sample.of(part, CLASSES) for _, part in moved.groupby("fold")])
    assert share.whole == dict.fromkeys(METRICS, 1.0)
    assert not share.is_measured
