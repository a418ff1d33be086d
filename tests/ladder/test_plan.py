"""Rungs that the time does not allow are closed, by one measured training of each."""

import itertools

import pytest

from tests.ladder.test_climb import CONFIG, climbed, inputs, requests
from tilewise import api
from tilewise.errors import ArgumentError, UsageError
from tilewise.ladder import plan as module
from tilewise.ladder.plan import LadderPlan, plan_ladder

NUM_FOLDS = 3
TRAININGS = NUM_FOLDS * (CONFIG.inner_folds + 1)


@pytest.fixture
def clock(monkeypatch):
    """Every training takes ten seconds."""
    times = itertools.count(0.0, 10.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: next(times))


def plan(seconds, out):
    return plan_ladder(
        requests(), CONFIG, inputs(all_tiles=True), num_folds=NUM_FOLDS, seconds_left=seconds, out=out / "measured"
    )


def test_a_rung_is_open_if_all_its_trainings_fit(clock, tmp_path):
    both = 2 * 10.0 * (TRAININGS + 1)
    assert plan(both, tmp_path) == LadderPlan({"means": 10.0 * TRAININGS, "attention": 10.0 * TRAININGS}, {})
    closed = plan(both - 1.0, tmp_path).closed
    assert closed == {"attention": "it would take 3 min, and 3 min are left"}
    assert not (tmp_path / "measured").exists()


def test_the_first_rung_is_always_open_and_nothing_else_is_measured_without_time(clock, tmp_path):
    assert plan(0.0, tmp_path) == LadderPlan({"means": 10.0 * TRAININGS}, {"attention": "no time is left"})


def test_a_plan_is_read_as_it_was_written_and_closes_rungs(tmp_path):
    made = LadderPlan({"means": 1.5}, {"attention": "no time is left"})
    made.write(tmp_path / "ladder.json")
    assert LadderPlan.read(tmp_path / "ladder.json") == made
    choice = climbed(inputs(all_tiles=False), out=tmp_path / "inner", closed=made.closed)
    assert str(choice.rungs[1]) == "attention: not tried, no time is left"


def test_time_limits_that_mean_nothing_are_refused(tmp_path):
    with pytest.raises(UsageError, match="default has none; use small-cohort"):
        api.train(tmp_path, "default", out=tmp_path / "run", time_limit="20m")
    with pytest.raises(ArgumentError, match="give seconds, or a time such as 90s"):
        api.train(tmp_path, "small-cohort", out=tmp_path / "run", time_limit="soon")
