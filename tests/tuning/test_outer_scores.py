"""Scores inside and outside a search, against scikit-learn's."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from tilewise.evaluation.config import EvaluationConfig
from tilewise.evaluation.interval import Estimate
from tilewise.tuning.outer_scores import outer_scores

CLASSES = ("A", "B")


def table(rng, slides, right):
    labels = np.array([CLASSES[number % 2] for number in range(len(slides))])
    p_A = np.where(labels == "A", 0.7, 0.3)
    p_A = np.where(rng.random(len(slides)) < right, p_A, 1.0 - p_A)
    predicted = np.where(p_A > 0.5, "A", "B")
    groups = [f"g{name[1:]}" if int(name[1:]) % 3 else None for name in slides]
    return pd.DataFrame(
        {
            "slide": slides, "label": labels, "group": groups, "fold": 0, "p_A": p_A, "p_B": 1 - p_A,
            "predicted": predicted,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(3)
    names = [f"s{number}" for number in range(60)]
    validation = [table(rng, names[start : start + 20], 0.9) for start in (0, 10, 20)]
    outer = [table(rng, [f"o{number}" for number in range(30)], 0.6) for _ in range(3)]
    config = EvaluationConfig(num_resamples=400)
    return validation, outer, outer_scores(validation, outer, Estimate(0.5, 0.4, 0.6), CLASSES, config, seed=0)


def test_scores_are_means_over_the_models(scores):
    validation, outer, made = scores
    for tables, estimate in ((validation, made.validation), (outer, made.outer)):
        by_fold = [f1_score(one["label"], one["predicted"], average="macro") for one in tables]
        assert estimate.value == pytest.approx(np.mean(by_fold))
        assert estimate.low < estimate.value < estimate.high
    assert made.optimism.value == pytest.approx(made.validation.value - made.outer.value)


def test_the_optimism_is_as_uncertain_as_both_scores_together(scores):
    made = scores[2]
    widths = [one.high - one.low for one in (made.validation, made.outer)]
    assert max(widths) < made.optimism.high - made.optimism.low < sum(widths)


def test_scores_without_any_error_leave_the_optimism_uncertain():
    rng = np.random.default_rng(0)
    tables = [table(rng, [f"s{number}" for number in range(8)], 1.0)]
    made = outer_scores(tables, tables, Estimate(1.0, 0.6, 1.0), CLASSES, EvaluationConfig(num_resamples=100), seed=0)
    assert made.optimism.value == 0.0
    assert made.optimism.low < -0.2
    assert made.optimism.high > 0.2
