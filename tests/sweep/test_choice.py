"""Choosing fold by fold, and what it is for: a score that the choice has not improved."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from tilewise.sweep.choice import choose_by_fold, common_validation, validation_scores

CLASSES = ("A", "B")
NUM_FOLDS = 4


def predictions(num_slides: int, num_right: float, rng: np.random.Generator) -> pd.DataFrame:
    """Slides in the validation part of one fold and the test part of the next, each model by chance right or wrong."""
    slide = np.arange(num_slides)
    rows = []
    for fold in range(NUM_FOLDS):
        for part, residue in (("test", fold), ("validation", (fold + 1) % NUM_FOLDS)):
            own = slide[slide % NUM_FOLDS == residue]
            rows += [(f"s{index:03d}", index, fold, part) for index in own]
    table = pd.DataFrame(rows, columns=["slide", "index", "fold", "part"])
    # A variant is right of the same slides in all folds: what a slide's validation says, its test says again.
    right = (rng.random(num_slides) < num_right)[table["index"]]
    truth = table["index"] // NUM_FOLDS % 2
    predicted = np.where(right, truth, 1 - truth)
    table["label"], table["predicted"] = np.asarray(CLASSES, object)[truth], np.asarray(CLASSES, object)[predicted]
    return table.assign(group=None, p_A=1.0 - predicted, p_B=1.0 * predicted)


def test_scores_are_of_the_validation_slides_that_all_variants_have():
    rng = np.random.default_rng(0)
    one, other = predictions(40, 0.7, rng), predictions(40, 0.7, rng)
    fewer = other[(other["slide"] != "s003") | (other["part"] == "test")]
    common = common_validation([one, fewer])
    assert len(common) == 39
    pooled, by_fold = validation_scores(one, common, CLASSES, "macro_f1")
    rows = one[(one["part"] == "validation") & (one["slide"] != "s003")]
    assert pooled == pytest.approx(f1_score(rows["label"], rows["predicted"], average="macro"))
    for fold, score in by_fold.items():
        own = rows[rows["fold"] == fold]
        assert score == pytest.approx(f1_score(own["label"], own["predicted"], average="macro"))


def test_the_first_of_equals_is_chosen_and_a_fold_without_scores_leaves_no_choice():
    scores = {"a": {0: 0.5, 1: 0.7}, "b": {0: 0.5, 1: None}, "c": {0: 0.4, 1: 0.9}}
    assert choose_by_fold(scores, range(2)) == {0: "a", 1: "c"}
    assert choose_by_fold(scores, range(3)) is None
    assert validation_scores(predictions(8, 1.0, np.random.default_rng(0)), frozenset(), CLASSES, "macro_f1") == (
        None,
        {},
    )


def test_the_winner_scores_too_well_and_whatever_was_chosen_does_not():
    """Twelve variants that are right of 60 % of all slides; the truth of every choice is 0.6."""
    rng, own, by_fold = np.random.default_rng(1), [], []
    for _ in range(40):
        tables = {str(number): predictions(60, 0.6, rng) for number in range(12)}
        common = common_validation(list(tables.values()))
        scores = {name: validation_scores(table, common, CLASSES, "macro_f1") for name, table in tables.items()}
        winner = max(scores, key=lambda name: scores[name][0])
        chosen = choose_by_fold({name: score for name, (_, score) in scores.items()}, range(NUM_FOLDS))
        tests = {name: table[table["part"] == "test"] for name, table in tables.items()}
        own.append(accuracy(tests[winner]))
        by_fold.append(accuracy(pd.concat([tests[name][tests[name]["fold"] == fold] for fold, name in chosen.items()])))
    assert np.mean(own) > 0.66
    assert np.mean(by_fold) == pytest.approx(0.6, abs=0.02)


def accuracy(table: pd.DataFrame) -> float:
    return float((table["label"] == table["predicted"]).mean())
