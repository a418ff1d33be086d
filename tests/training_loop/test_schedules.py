"""Rates against torch's schedulers, and what each option does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import lr_scheduler

from tilewise.training_loop import OptimizerConfig, Schedule, ScheduleConfig, build_optimizer, build_schedule

RATE = 0.3


def sgd(factors: tuple[float, ...] = (1.0,)) -> torch.optim.Optimizer:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "factor": factor} for factor in factors]
    return build_optimizer(OptimizerConfig(kind="sgd"), groups, learning_rate=RATE)


def make(config: ScheduleConfig, epochs: int, per_epoch: int, optimizer=None) -> Schedule:
    return build_schedule(config, optimizer or sgd(), learning_rate=RATE, num_epochs=epochs, steps_per_epoch=per_epoch)


def rates(config: ScheduleConfig, epochs: int = 10, per_epoch: int = 7) -> np.ndarray:
    optimizer = sgd()
    schedule = make(config, epochs, per_epoch, optimizer)
    learning_rates = []
    for _ in range(epochs * per_epoch):
        schedule.begin_step()
        learning_rates.append(optimizer.param_groups[0]["lr"])
    return np.array(learning_rates)


def torch_rates(scheduler_of, num: int) -> np.ndarray:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=RATE)
    scheduler = scheduler_of(optimizer)
    learning_rates = []
    for step in range(num):
        learning_rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < num - 1:
            scheduler.step()
    return np.array(learning_rates)


@pytest.mark.parametrize("least", [0.0, 0.1])
def test_cosine_is_torchs(least: float) -> None:
    theirs = torch_rates(lambda o: lr_scheduler.CosineAnnealingLR(o, 70, eta_min=least * RATE), 70)
    np.testing.assert_allclose(rates(ScheduleConfig(least_share=least)), theirs, rtol=1e-9)


@given(st.integers(1, 500), st.data())
def test_cosine_without_options_has_the_bits_of_the_formula(num: int, data) -> None:
    step = data.draw(st.integers(0, num - 1))
    expected = RATE * 0.5 * (1.0 + math.cos(math.pi * (step / num)))
    assert RATE * make(ScheduleConfig(), num, 1).share(step) == expected


@pytest.mark.parametrize("growth", [1, 2])
def test_restarts_are_torchs(growth: int) -> None:
    config = ScheduleConfig(kind="restarts", first_cycle_epochs=2, cycle_growth=growth, least_share=0.05)
    theirs = torch_rates(
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 14, T_mult=growth, eta_min=0.05 * RATE), 70
    )
    np.testing.assert_allclose(rates(config), theirs, rtol=1e-9)
    # With growth the falls begin at epochs 0, 2, 6; without, at every second.
    assert np.sum(rates(config) == RATE) == (3 if growth == 2 else 5)


@pytest.mark.parametrize(("rise", "start", "least"), [(0.3, 0.04, 0.004), (0.5, 0.1, 0.01)])
def test_one_cycle_is_torchs(rise: float, start: float, least: float) -> None:
    config = ScheduleConfig(kind="one_cycle", rise_share=rise, start_share=start, least_share=least)
    theirs = torch_rates(
        lambda o: lr_scheduler.OneCycleLR(
            o, RATE, total_steps=70, pct_start=rise, div_factor=1 / start, final_div_factor=start / least,
            cycle_momentum=False,
        ),
        70,
    )  # fmt: skip
    np.testing.assert_allclose(rates(config), theirs, rtol=1e-9)


@given(
    st.lists(st.floats(0, 1).map(lambda x: round(x, 2)), min_size=1, max_size=40),
    st.integers(0, 4),
    st.floats(0.1, 0.9),
)
def test_plateau_is_torchs(losses: list[float], patience: int, factor: float) -> None:
    config = ScheduleConfig(
        kind="plateau", plateau_patience=patience, plateau_factor=factor, plateau_improvement=0.05, least_share=0.01
    )
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=RATE)
    theirs = lr_scheduler.ReduceLROnPlateau(
        optimizer, patience=patience, factor=factor, threshold=0.05, threshold_mode="abs", min_lr=0.01 * RATE, eps=0.0
    )
    ours = make(config, len(losses), 3)
    for loss in losses:
        for _ in range(3):
            ours.begin_step()
        ours.end_epoch(loss)
        theirs.step(loss)
        assert ours.rate == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)


def test_plateau_falls_after_patience_and_not_before() -> None:
    schedule = make(ScheduleConfig(kind="plateau", plateau_patience=2, plateau_factor=0.5), 20, 1)
    falls = []
    for selection_loss in (1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.8, 0.8, None, 0.8, 0.8):
        schedule.begin_step()
        falls.append(schedule.end_epoch(selection_loss))
    assert np.flatnonzero(falls).tolist() == [4, 10]
    assert schedule.rate == RATE * 0.25


def test_epochs_of_the_warmup_are_no_plateau() -> None:
    config = ScheduleConfig(kind="plateau", plateau_patience=0, warmup_epochs=3)
    schedule = make(config, 10, 2)
    falls = []
    for _ in range(5):
        schedule.begin_step(), schedule.begin_step()
        falls.append(schedule.end_epoch(1.0))
    assert falls == [False, False, False, True, True]


@pytest.mark.parametrize("kind", ["cosine", "restarts", "plateau", "one_cycle", "constant"])
def test_warmup_rises_in_a_line_to_the_start_of_the_curve(kind: str) -> None:
    learning_rates = rates(ScheduleConfig(kind=kind, warmup_epochs=2))
    first = 0.04 * RATE if kind == "one_cycle" else RATE
    np.testing.assert_allclose(learning_rates[:15], first * np.arange(1, 16) / 15, rtol=1e-9)
    np.testing.assert_allclose(learning_rates[14:], rates(ScheduleConfig(kind=kind), epochs=8), rtol=1e-9)


def test_half_an_epoch_of_warmup_and_more_than_there_is() -> None:
    half = rates(ScheduleConfig(kind="constant", warmup_epochs=0.5), epochs=2, per_epoch=8)
    np.testing.assert_allclose(half, RATE * np.minimum(np.arange(1, 17) / 5, 1))
    every = rates(ScheduleConfig(warmup_epochs=100), epochs=2, per_epoch=2)
    np.testing.assert_allclose(every, RATE * np.array([0.25, 0.5, 0.75, 1.0]))


@pytest.mark.parametrize("kind", ["cosine", "restarts", "plateau", "one_cycle", "constant"])
@pytest.mark.parametrize("num", [1, 2, 3])
def test_the_shortest_trainings_have_a_rate(kind: str, num: int) -> None:
    learning_rates = rates(ScheduleConfig(kind=kind, warmup_epochs=0.4), epochs=num, per_epoch=1)
    assert np.isfinite(learning_rates).all()
    assert 0 < learning_rates.max() <= RATE


def test_groups_keep_their_factors_and_the_rate_is_that_of_the_coming_step() -> None:
    optimizer = sgd((1.0, 0.1))
    schedule = make(ScheduleConfig(), 4, 5, optimizer)
    for _ in range(9):
        coming = schedule.rate
        schedule.begin_step()
        assert [group["lr"] for group in optimizer.param_groups] == [coming, coming * 0.1]
