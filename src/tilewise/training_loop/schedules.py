"""Learning rates over steps: a curve after a warm-up, and falls on a plateau."""

from __future__ import annotations

import math
from typing import Any

import torch

from tilewise.training_loop.config import ScheduleConfig


def build_schedule(
    config: ScheduleConfig,
    optimizer: torch.optim.Optimizer,
    *,
    learning_rate: float,
    num_epochs: int,
    steps_per_epoch: int,
) -> Schedule:
    """The schedule of a config.

    Args:
        config: which curve.
        optimizer: of `build_optimizer`; each of its groups has a `factor`.
        learning_rate: what the curve's shares are of.
        num_epochs: of the whole training, warm-up included.
        steps_per_epoch: steps of the optimiser, not batches where gradients are accumulated.
    """
    return Schedule(config, optimizer, learning_rate, num_epochs, steps_per_epoch)


class Schedule:
    """Sets the rate of every group: rate(step) * factor.

    Call `begin_step` before every step of the optimiser and `end_epoch` after every epoch. With W steps of warm-up,
    step s < W has (s + 1) / (W + 1) of what the curve starts with. The curve is over the remaining steps:

    - cosine: from 1 to `least_share` by half a cosine (Loshchilov and Hutter, SGDR, ICLR 2017);
    - restarts: the same over `first_cycle_epochs`, then again, each fall `cycle_growth` times longer;
    - one_cycle: from `start_share` up to 1 and down to `least_share`, both by half a cosine (Smith and Topin 2019);
    - plateau: 1, times `plateau_factor` whenever more than `plateau_patience` epochs in a row were no better;
    - constant: 1.
    """

    # torch's LambdaLR multiplies rate * factor by the share, which rounds to other bits than rate * share by the
    # factor; and it has no place for falls on a plateau.

    def __init__(
        self,
        config: ScheduleConfig,
        optimizer: torch.optim.Optimizer,
        learning_rate: float,
        num_epochs: int,
        steps_per_epoch: int,
    ) -> None:
        self._config = config
        self._optimizer = optimizer
        self._learning_rate = learning_rate
        self._steps_per_epoch = steps_per_epoch
        self.num_steps = num_epochs * steps_per_epoch
        self._num_warmup = min(round(config.warmup_epochs * steps_per_epoch), self.num_steps - 1)
        self._step = 0
        self._fallen = 1.0
        self._best: float | None = None
        self._num_bad = 0

    @property
    def rate(self) -> float:
        """The rate of the coming step, before the factor of a group."""
        return self._learning_rate * self.share(self._step)

    def share(self, step: int) -> float:
        """The share of the learning rate at a step, counted over all epochs from 0; falls on a plateau as of now."""
        if step < self._num_warmup:
            return (step + 1) / (self._num_warmup + 1) * self._curve(0)
        return self._curve(step - self._num_warmup)

    def begin_step(self) -> float:
        """Set the rates of the coming step, and count it; returns the rate before the factor of a group."""
        rate = self.rate
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        self._step += 1
        return rate

    def end_epoch(self, selection_loss: float | None) -> bool:
        """Tell how bad the epoch was on validation, less is better; None where nothing was scored.

        Returns:
            Whether the rate falls (kind plateau; never in the warm-up).
        """
        if self._config.kind != "plateau" or selection_loss is None:
            return False
        if self._best is None or selection_loss < self._best - self._config.plateau_improvement:
            self._best, self._num_bad = selection_loss, 0
            return False
        self._num_bad += self._step > self._num_warmup
        if self._num_bad <= self._config.plateau_patience or self._fallen <= self._config.least_share:
            return False
        self._fallen = max(self._fallen * self._config.plateau_factor, self._config.least_share)
        self._num_bad = 0
        return True

    def state_dict(self) -> dict[str, Any]:
        """What a stopped training needs to go on; plain numbers."""
        return {"step": self._step, "fallen": self._fallen, "best": self._best, "num_bad": self._num_bad}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`."""
        self._step, self._fallen = int(state["step"]), float(state["fallen"])
        self._best, self._num_bad = state["best"], int(state["num_bad"])

    def _curve(self, step: int) -> float:
        config = self._config
        match config.kind:
            case "cosine":
                return _fall(step / (self.num_steps - self._num_warmup), 1.0, config.least_share)
            case "restarts":
                return _fall(self._cycle(step), 1.0, config.least_share)
            case "one_cycle":
                return self._one_cycle(step)
            case "plateau":
                return self._fallen
            case "constant":
                return 1.0

    def _cycle(self, step: int) -> float:
        """How much of its fall a step has behind it."""
        length, growth = self._config.first_cycle_epochs * self._steps_per_epoch, self._config.cycle_growth
        start = 0.0
        while step >= start + length:
            start, length = start + length, length * growth
        return (step - start) / length

    def _one_cycle(self, step: int) -> float:
        config, num_steps = self._config, self.num_steps - self._num_warmup
        peak, last = max(config.rise_share * num_steps - 1.0, 0.0), num_steps - 1
        if step < peak:
            return _fall(step / peak, config.start_share, 1.0)
        # A single step is at the peak.
        return _fall((step - peak) / (last - peak) if last > peak else 0.0, 1.0, config.least_share)


def _fall(done: float, start: float, end: float) -> float:
    """Half a cosine from `start` to `end`."""
    return end + (start - end) * (0.5 * (1.0 + math.cos(math.pi * done)))
