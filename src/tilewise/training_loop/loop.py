"""The training loop of heads, networks, contrastive pretraining and U-Nets."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Sized
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from tilewise.errors import TrainingError
from tilewise.training_loop.checkpoint import Checkpoint
from tilewise.training_loop.ema import Ema
from tilewise.training_loop.schedules import Schedule
from tilewise.training_loop.training_progress import Best, Row, TrainingProgress

_log = logging.getLogger(__name__)

_ROUNDING = 1e-9  # a later epoch must be better by more

Samples = TypeVar("Samples", bound=Sized)
Batch = TypeVar("Batch")
Row_co = TypeVar("Row_co", covariant=True)


@dataclass
class EpochTotals:
    """Sums over the batches of an epoch: each value of a batch times its samples.

    Attributes:
        values: of the loss, and of what else `Objective.losses` gives.
        num_samples: in all batches.
    """

    values: list[float]
    num_samples: int = 0

    @property
    def means(self) -> list[float]:
        """Of the values, over samples."""
        return [value / self.num_samples for value in self.values]


class Objective(Protocol[Samples, Batch, Row_co]):
    """What differs between trainings: batches, losses, and how an epoch is scored."""

    @property
    def num_batches(self) -> int:
        """Batches of an epoch."""

    @property
    def loss_name(self) -> str:
        """What messages call the loss."""

    @property
    def advice(self) -> str:
        """How the message of a loss that is not finite ends."""

    def batches(self, epoch: int) -> Generator[tuple[Samples, Batch]]:
        """The samples of each batch, and the batch; the module is put into training mode before the first one."""

    def losses(self, batch: Batch) -> tuple[Tensor, ...]:
        """The loss, a scalar with gradients, and further means over the batch."""

    def name_slides(self, samples: Samples) -> str:
        """The slides of some samples, for a message."""

    def score(self, epoch: int, totals: EpochTotals, learning_rate: float) -> tuple[Row_co, float | None]:
        """The row of an epoch, from 0, and its loss on validation, by which epochs are selected; None without any."""


@dataclass
class Trainer(Generic[Samples, Batch, Row]):
    """Trains a module in place: steps, averages of weights, early stopping, selection of an epoch, state.

    Attributes:
        objective: batches and losses.
        module: everything that learns.
        optimizer: of its parameters.
        schedule: of the optimiser.
        epochs: at most.
        patience: epochs without a better one before training stops; None never stops.
        keeps_best: whether weights of the best epoch are kept: the last one where nothing is scored.
        accumulate: batches whose gradients make one step.
        clip_norm: longest gradient over all weights together; None leaves them.
        ema: average of the weights, which is what is scored and kept.
        scaler: of the loss, for float16.
    """

    objective: Objective[Samples, Batch, Row]
    module: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    epochs: int
    patience: int | None = None
    keeps_best: bool = True
    accumulate: int = 1
    clip_norm: float | None = None
    ema: Ema | None = None
    scaler: torch.amp.GradScaler | None = None

    def run(self, progress: TrainingProgress[Row]) -> None:
        """Train from where a progress is to the end; it then holds the rows and the best weights.

        Raises:
            TrainingError: the loss is no longer finite; names the epoch, step, learning rate and slides.
        """
        checkpoint = Checkpoint(self.module, self.optimizer, self.schedule, self.ema, self.scaler)
        progress.resume(checkpoint)
        while not self._should_stop(progress):
            epoch, learning_rate = len(progress.rows), self.schedule.rate
            totals = self.train_epoch(epoch, progress.record.name)
            with self.ema.averaged(self.module) if self.ema else nullcontext():
                row, selection_loss = self.objective.score(epoch, totals, learning_rate)
                self.schedule.end_epoch(selection_loss)
                if self.keeps_best and _is_better(selection_loss, progress.best):
                    progress.best = Best(epoch, selection_loss, _copied(self.module))
            progress.add(row, checkpoint)
            if progress.record.folder is not None:  # a head's epochs are over sooner than they are read
                _log.info(
                    "%s: epoch %d, %s %.4f, on validation %s",
                    progress.record.name,
                    epoch + 1,
                    self.objective.loss_name,
                    totals.means[0],
                    selection_loss,
                )
        progress.close()

    def _should_stop(self, progress: TrainingProgress[Row]) -> bool:
        num, best = len(progress.rows), progress.best
        if num >= self.epochs:
            return True
        return self.patience is not None and best is not None and num - 1 - best.epoch >= self.patience

    def train_epoch(self, epoch: int, name: str) -> EpochTotals:
        """One pass over the samples."""
        objective, num_batches = self.objective, self.objective.num_batches
        monitor = _LossMonitor(objective, f"{name}: the {objective.loss_name} is {{}} at epoch {epoch + 1}, step {{}}")
        with closing(objective.batches(epoch)) as batches:
            for start in range(0, num_batches, self.accumulate):
                num_parts = min(self.accumulate, num_batches - start)
                learning_rate = self.schedule.begin_step()
                self.optimizer.zero_grad(set_to_none=True)
                for number in range(start, start + num_parts):
                    samples, batch = next(batches)
                    losses = objective.losses(batch)
                    loss = losses[0] / num_parts if num_parts > 1 else losses[0]
                    torch.autograd.backward(loss if self.scaler is None else self.scaler.scale(loss))
                    monitor.add(samples, epoch * num_batches + number + 1, learning_rate, losses)
                self._step()
            monitor.check()
        return monitor.totals

    def _step(self) -> None:
        """Clip the gradients and make the step."""
        if self.clip_norm is not None:
            if self.scaler is not None:
                self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.module.parameters(), self.clip_norm)
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        if self.ema is not None:
            self.ema.update(self.module)


class _LossMonitor(Generic[Samples, Batch, Row]):
    """Looks at each batch once the next one is under way, so that no device waits to be asked.

    Args:
        objective: names slides.
        message: what the error begins with; `{}` for the loss and for the step.
    """

    def __init__(self, objective: Objective[Samples, Batch, Row], message: str) -> None:
        self._objective, self._message = objective, message
        self._last: tuple[tuple[Tensor, ...], Samples, int, float] | None = None
        self.totals = EpochTotals([])

    def add(self, samples: Samples, step: int, learning_rate: float, means: tuple[Tensor, ...]) -> None:
        """Take in a batch, whose step is counted from 1 over all epochs, and look at the one before."""
        self.check()
        self._last = (tuple(mean.detach() for mean in means), samples, step, learning_rate)

    def check(self) -> None:
        """Look at the last batch; `totals` then holds all batches so far.

        Raises:
            TrainingError: its loss is not finite.
        """
        if self._last is None:
            return
        (means, samples, step, learning_rate), self._last = self._last, None
        values = [mean.item() for mean in means]
        if not math.isfinite(values[0]):
            slides = self._objective.name_slides(samples)
            raise TrainingError(
                f"{self._message.format(values[0], step)}, learning rate {learning_rate:.3g}, slides {slides}; "
                f"{self._objective.advice}"
            )
        totals = self.totals
        before = totals.values or [0.0] * len(values)
        totals.values = [total + value * len(samples) for total, value in zip(before, values, strict=True)]
        totals.num_samples += len(samples)


def _is_better(selection_loss: float | None, best: Best | None) -> bool:
    """Whether an epoch is better than the best so far; a later one is where nothing is scored."""
    if selection_loss is None or best is None or best.selection_loss is None:
        return True
    return selection_loss < best.selection_loss - _ROUNDING


def _copied(module: nn.Module) -> dict[str, Tensor]:
    """All weights, on the processor."""
    return {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
