"""The simulations of `benchmarks/comparisons.py` in short: size, power, and what choosing does to a score."""

from __future__ import annotations

import numpy as np
from benchmarks.comparisons import ALL, choose, pairs

from tilewise.evaluation.compare import paired_difference


def test_two_seeds_of_one_recipe_rarely_come_out_different() -> None:
    results = [paired_difference(a, b).metrics["macro_f1"] for a, b in pairs(160, (ALL, ALL), 1, 100, same_folds=True)]
    assert np.mean([one.p_value < 0.05 for one in results]) <= 0.065


def test_a_true_difference_is_told_as_often_as_the_stated_power_says() -> None:
    runs = pairs(700, (ALL, ALL[:14]), 3, 12, same_folds=True)
    results = [paired_difference(a, b).metrics["macro_f1"] for a, b in runs]
    difference = float(np.mean([one.value for one in results]))
    share_apart, stated = (
        np.mean([one.p_value < 0.05 for one in results]),
        np.mean([one.power(difference) for one in results]),
    )
    assert difference > 0.06
    assert stated > 0.8
    assert abs(share_apart - stated) < 0.2


def test_whatever_was_chosen_scores_what_its_models_score_on_fresh_slides() -> None:
    own, by_fold = choose(60, 40)
    assert np.mean(own) > 0.015
    assert abs(np.mean(by_fold)) < 0.02
