"""The out-of-fold score of a combination is honest, whatever is fitted."""

from functools import cache, partial

import numpy as np
import pytest

from tests.ensemble.made import CLASSES, changed, make_runs
from tilewise.ensemble.combine import combine
from tilewise.ensemble.examples import Examples
from tilewise.ensemble.fit import fit_combiner
from tilewise.ensemble.methods import METHODS
from tilewise.errors import UsageError
from tilewise.metrics import macro_f1

FITTED = [method for method in METHODS if method != "average"]
COLUMNS = [f"p_{name}" for name in CLASSES]
NUM_SHUFFLES = 15
NUM_LEAKS = 12
NUM_RUNS = {method: 8 if method in {"weighted", "greedy"} else 2 for method in METHODS}


def score_over_chance(table, rng):
    """Macro F1 less the mean of what the same predictions score on shuffled labels."""
    truth, predicted = (np.array([CLASSES.index(name) for name in table[column]]) for column in ("label", "predicted"))
    chance = [macro_f1(rng.permutation(truth), predicted, 3) for _ in range(20)]
    return macro_f1(truth, predicted, 3) - np.mean(chance)


@cache
def noise(seed, num_runs):
    """Runs that know nothing and say the same of a slide in every fold, so that any leak would show.

    Weights can only choose among runs: it takes several to choose from before a leak is of any use to them.
    """
    return make_runs([0.0] * num_runs, num_slides=60, seed=seed, fold_noise=0.0, scores=2.0)


def cheated(runs, method, rows_of):
    """The test rows as a combiner would have them that was fitted to what it must not see."""
    tables = [run.rows() for run in runs]
    test = [table[table["part"] == "test"].copy() for table in tables]
    combiner = fit_combiner(method, Examples.of([rows_of(table) for table in tables], CLASSES, "none"), seed=0)
    measured = combiner.apply(np.stack([table[COLUMNS].to_numpy() for table in test]))
    return test[0].assign(predicted=np.array(CLASSES, object)[measured.argmax(axis=1)])


@pytest.mark.parametrize("method", METHODS)
def test_on_labels_that_mean_nothing_every_method_scores_chance(method):
    rng = np.random.default_rng(0)
    measured = [
        score_over_chance(combine(noise(seed, NUM_RUNS[method]), method).predictions.table, rng)
        for seed in range(NUM_SHUFFLES)
    ]
    error = np.std(measured, ddof=1) / np.sqrt(NUM_SHUFFLES)
    assert np.mean(measured) < 2.5 * error, f"{np.mean(measured):.3f} above chance"
    assert abs(np.mean(measured)) < 0.035


@pytest.mark.parametrize("method", ["stack-boosting", "stack-boosting-ovr", "stack-logistic", "weighted", "greedy"])
@pytest.mark.parametrize(
    "rows_of",
    [lambda table: table[table["part"] == "test"], lambda table: table[table["part"] == "validation"]],
    ids=["fitted on test", "validation of all folds pooled"],
)
def test_the_leak_would_show(method, rows_of):
    """Select parts of other folds hold this fold's test slides: pooled, they score as if fitted on the test part."""
    rng = np.random.default_rng(0)
    measured = [
        score_over_chance(cheated(noise(seed, NUM_RUNS[method]), method, rows_of), rng) for seed in range(NUM_LEAKS)
    ]
    error = np.std(measured, ddof=1) / np.sqrt(NUM_LEAKS)
    assert np.mean(measured) > 2.5 * error


@pytest.mark.parametrize("method", FITTED)
def test_test_labels_and_other_folds_select_have_no_say(method):
    runs = make_runs([1.2, 0.4], holdout=9)
    before = combine(runs, method, seed=1)

    def elsewhere(table):
        return (table["part"] != "validation") | (table["fold"] != 0)

    labels = runs[0].predictions.table.loc[elsewhere, "label"].sample(frac=1.0, random_state=0).to_numpy()
    other = [changed(run, elsewhere, label=labels) for run in runs]
    after = combine(other, method, seed=1)
    mine, yours = (one.predictions.table for one in (before, after))
    first = (mine["part"] == "test") & (mine["fold"] == 0)
    np.testing.assert_array_equal(mine.loc[first, COLUMNS], yours.loc[first, COLUMNS])
    assert before.fold_combiners[0].to_json() == after.fold_combiners[0].to_json()
    assert before.combiner.to_json() != after.combiner.to_json()


@pytest.mark.parametrize("method", METHODS)
def test_what_comes_out_is_one_row_for_each_test_and_holdout_slide(method):
    runs = make_runs([1.5, 0.5], holdout=9)
    combined = combine(runs, method)
    table = combined.predictions.table
    assert table["part"].value_counts().to_dict() == {"test": 81, "holdout": 9}
    assert not table["slide"].duplicated().any()
    np.testing.assert_allclose(table[COLUMNS].sum(axis=1), 1.0)
    assert combined.best_run == 0
    labels = {item.slide_id: item.label for item in runs[0].folds.items}
    assert table["label"].tolist() == [labels[name] for name in table["slide"]]


def test_the_average_is_the_mean_row_by_row_whatever_order_the_tables_have():
    first, second = make_runs([1.0, 0.5])
    shuffled = second.predictions.table.sample(frac=1.0, random_state=0)
    second = changed(second, partial(lambda t: t["num_tiles"] > 0), num_tiles=3)
    second = type(second)(
        second.name, second.folds, type(second.predictions)(second.predictions.table.loc[shuffled.index], CLASSES)
    )
    measured = combine([first, second], "average").predictions.table
    keys = ["part", "fold", "slide"]
    one, two = (run.predictions.table.set_index(keys)[COLUMNS] for run in (first, second))
    np.testing.assert_allclose(
        measured.set_index(keys)[COLUMNS], (one + two).loc[list(measured.set_index(keys).index)] / 2, rtol=1e-12
    )
    assert set(measured["num_tiles"]) == {3}, "the fewest of any run"


def test_a_good_run_beside_a_useless_one_is_found_by_every_fitted_method():
    runs = make_runs([2.5, 0.0, 0.0, 0.0], num_slides=240, scores=1.5)
    rng = np.random.default_rng(0)
    plain = score_over_chance(combine(runs, "average").predictions.table, rng)
    for method in FITTED:
        assert score_over_chance(combine(runs, method).predictions.table, rng) > plain + 0.02, method


def test_a_fold_that_nothing_can_be_fitted_to_is_named():
    runs = make_runs([1.0, 1.0])
    poor = [changed(run, lambda t: (t["part"] == "validation") & (t["fold"] == 1), label="B") for run in runs]
    with pytest.raises(UsageError, match=r"validation part of fold 1.*of B only.*--method average"):
        combine(poor, "weighted")
    combine(poor, "average")
