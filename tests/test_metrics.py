"""Metrics against scikit-learn, and what they say where they are not defined."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewise import metrics

NAN = float("nan")


@st.composite
def tables(draw: st.DrawFn) -> tuple[Any, Any, Any, int]:
    """Truth, predictions and probabilities with ties; classes may be missing from either."""
    num_classes = draw(st.integers(2, 5))
    num_slides = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    truth = rng.integers(0, draw(st.integers(1, num_classes)), num_slides)
    scores = rng.integers(0, draw(st.sampled_from([2, 4, 10**6])), (num_slides, num_classes)) + 0.5
    probabilities = scores / scores.sum(1, keepdims=True)
    return truth, probabilities.argmax(1), probabilities, num_classes


@given(tables())
@settings(max_examples=150, deadline=None)
def test_agrees_with_sklearn(table: tuple[Any, Any, Any, int]) -> None:
    truth, predicted, probabilities, num_classes = table
    labels = list(range(num_classes))
    confusion = metrics.confusion_matrix(truth, predicted, num_classes)
    np.testing.assert_array_equal(confusion, reference.confusion_matrix(truth, predicted, labels=labels))
    per_class = reference.precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=np.nan)
    np.testing.assert_allclose(metrics.class_precision(truth, predicted, num_classes), per_class[0])
    np.testing.assert_allclose(metrics.class_recall(truth, predicted, num_classes), per_class[1])
    np.testing.assert_allclose(metrics.class_f1(truth, predicted, num_classes), per_class[2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of classes that are only predicted
        expected = {
            "macro_f1": reference.f1_score(truth, predicted, average="macro"),
            "weighted_f1": reference.f1_score(truth, predicted, average="weighted"),
            "balanced_accuracy": reference.balanced_accuracy_score(truth, predicted),
            "macro_precision": reference.precision_score(truth, predicted, average="macro"),
            "macro_recall": reference.recall_score(truth, predicted, average="macro"),
            "weighted_precision": reference.precision_score(truth, predicted, average="weighted"),
            "weighted_recall": reference.recall_score(truth, predicted, average="weighted"),
        }
    for name, value in expected.items():
        assert getattr(metrics, name)(truth, predicted, num_classes) == pytest.approx(value), name
    for name in ("macro_f1", "weighted_f1", "balanced_accuracy"):
        assert metrics.primary_score(name, truth, predicted, probabilities) == pytest.approx(expected[name])
    assert metrics.accuracy(truth, predicted) == pytest.approx(reference.accuracy_score(truth, predicted))
    assert metrics.log_loss(truth, probabilities) == pytest.approx(
        reference.log_loss(truth, probabilities, labels=labels)
    )


@given(tables())
@settings(max_examples=150, deadline=None)
def test_auroc_agrees_with_sklearn(table: tuple[Any, Any, Any, int]) -> None:
    truth, _, probabilities, num_classes = table
    expected = [
        reference.roc_auc_score(truth == c, probabilities[:, c]) if 0 < (truth == c).sum() < len(truth) else NAN
        for c in range(num_classes)
    ]
    np.testing.assert_allclose(metrics.class_auroc(truth, probabilities), expected)
    assert metrics.auroc_macro(truth, probabilities) == pytest.approx(
        np.nanmean(expected) if np.isfinite(expected).any() else NAN, nan_ok=True
    )
    primary = metrics.primary_score("auroc_macro", truth, probabilities.argmax(1), probabilities)
    assert primary == (pytest.approx(np.nanmean(expected)) if np.isfinite(expected).any() else None)


@given(tables(), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_weights_are_repetitions(table: tuple[Any, Any, Any, int], seed: int) -> None:
    truth, _, probabilities, _ = table
    weights = np.random.default_rng(seed).integers(0, 3, (4, len(truth)))
    computed = metrics.class_auroc_of(truth, probabilities, weights)
    for row, weight in zip(computed, weights, strict=True):
        chosen = np.repeat(np.arange(len(truth)), weight)
        np.testing.assert_allclose(row, metrics.class_auroc(truth[chosen], probabilities[chosen]))


def test_leading_axes_are_scored_one_by_one() -> None:
    stack = np.random.default_rng(0).integers(0, 5, (6, 2, 3, 3))
    for name in ("accuracy_of", "balanced_accuracy_of", "macro_f1_of", "weighted_f1_of", "f1_of", "precision_of"):
        function = getattr(metrics, name)
        one_by_one = [[function(matrix) for matrix in row] for row in stack]
        np.testing.assert_allclose(function(stack), one_by_one, err_msg=name)


def test_known_values() -> None:
    truth, predicted = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0])
    np.testing.assert_allclose(metrics.class_precision(truth, predicted, 4), [0.5, 2 / 3, NAN, NAN])
    np.testing.assert_allclose(metrics.class_recall(truth, predicted, 4), [0.5, 1.0, 0.0, NAN])
    np.testing.assert_allclose(metrics.class_f1(truth, predicted, 4), [0.5, 0.8, 0.0, NAN])
    assert metrics.macro_f1(truth, predicted, 4) == pytest.approx(1.3 / 3)  # the fourth class is nowhere
    assert metrics.weighted_f1(truth, predicted, 4) == pytest.approx((0.5 * 2 + 0.8 * 2) / 5)
    assert metrics.balanced_accuracy(truth, predicted, 4) == pytest.approx(0.5)


def test_a_class_that_is_only_predicted_counts_as_zero_in_macro_f1() -> None:
    truth, predicted = np.array([0, 0, 1]), np.array([0, 2, 1])
    assert metrics.macro_f1(truth, predicted, 3) == pytest.approx((2 / 3 + 1.0 + 0.0) / 3)
    assert metrics.balanced_accuracy(truth, predicted, 3) == pytest.approx(0.75)


def test_nothing_gives_nan() -> None:
    nothing, no_rows = np.zeros(0, int), np.zeros((0, 3))
    assert np.isnan(metrics.accuracy(nothing, nothing))
    assert np.isnan(metrics.macro_f1(nothing, nothing, 3))
    assert np.isnan(metrics.weighted_f1(nothing, nothing, 3))
    assert np.isnan(metrics.balanced_accuracy(nothing, nothing, 3))
    assert np.isnan(metrics.auroc_macro(nothing, no_rows))
    assert np.isnan(metrics.log_loss(nothing, no_rows))


@pytest.mark.parametrize(("truth", "predicted"), [([0, 3], [0, 0]), ([0, -1], [0, 0]), ([0, 0], [0, 3]), ([0, 0], [0])])
def test_wrong_indices_are_refused(truth: list[int], predicted: list[int]) -> None:
    with pytest.raises(ValueError, match=r"class indices|differ in shape"):
        metrics.confusion_matrix(np.array(truth), np.array(predicted), 3)


def test_certain_and_wrong_costs_a_finite_log_loss() -> None:
    assert metrics.log_loss(np.array([1]), np.array([[1.0, 0.0]])) == pytest.approx(-np.log(np.finfo(float).eps))


def test_the_command_line_knows_metrics_and_formats_without_numpy():
    from tilewise.cli import compare, features
    from tilewise.interchange import folder
    from tilewise.metrics import PrimaryMetric

    assert compare.Metric == PrimaryMetric
    assert (features.ReadFormat, features.WriteFormat) == (folder.ReadFormat, folder.WriteFormat)
