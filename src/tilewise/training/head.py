"""The loop: a head is trained on the features of one fold."""

from __future__ import annotations

import copy
import math
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from tilewise.encoders.threads import reproducible
from tilewise.errors import TrainingError
from tilewise.metrics import PrimaryMetric
from tilewise.models import FoldModel, HeadConfig
from tilewise.training.bags import BagSamples
from tilewise.training.config import TrainingConfig
from tilewise.training.data import FeatureData
from tilewise.training.history import EpochRow, History, notes
from tilewise.training.learning import (
    Ema,
    Loss,
    Mixer,
    Schedule,
    build_optimizer,
    build_schedule,
    penalty,
)
from tilewise.training.samples import Samples, TileSamples
from tilewise.training.scores import WORTH_KEEPING, score_probabilities, selection_loss


def train_head(
    data: FeatureData,
    head: HeadConfig,
    config: TrainingConfig,
    *,
    seed: int,
    name: str = "the fold",
    metric: PrimaryMetric = "macro_f1",
) -> tuple[FoldModel, History]:
    """Train a head on `data.train`, keep the epoch that does best on `data.validation`.

    The loss of a tile counts by the weight of its class and its share of its slide. With attention
    (`head.aggregate`) a sample is a whole slide, and counts by the weight of its class. Without a validation part
    training runs its full length and the last epoch is kept. The same data, configs and seed give the same model, to
    the bit, on one machine.

    Args:
        data: features and labels of the parts train and validation.
        head: what is trained.
        config: how.
        seed: of initial weights, order of samples and dropout.
        name: what messages call the fold.
        metric: that epochs are scored by on validation.

    Raises:
        TrainingError: the loss is no longer finite; names the fold, epoch, step and slides.
    """
    epoch_config = config.epoch_config
    with reproducible(epoch_config.num_threads or 1):
        run = _Run.start(data, head, config, torch.Generator().manual_seed(seed))
        rows: list[EpochRow] = []
        best: tuple[float, int, dict[str, Tensor]] | None = None
        for epoch in range(epoch_config.epochs):
            rate = run.schedule.rate
            train_loss = run.train_epoch(epoch, name)
            with run.ema.averaged(run.module) if run.ema else nullcontext():
                row = EpochRow(epoch + 1, train_loss, *run.score_validation(metric), learning_rate=rate)
                rows.append(row)
                epoch_loss = selection_loss(row, config.select_by)
                run.schedule.end_epoch(epoch_loss if data.validation.num_slides else None)
                if best is None or epoch_loss < best[0] - WORTH_KEEPING:
                    best = (epoch_loss, epoch, copy.deepcopy(run.module.state_dict()))
            if (
                data.validation.num_slides
                and epoch_config.patience is not None
                and epoch - best[1] >= epoch_config.patience
            ):
                break
    assert best is not None
    rows[best[1]] = replace(rows[best[1]], kept=True)
    history = History(tuple(rows), notes(rows, config, data.classes, data.train, data.validation))
    weights = {key: tensor.numpy() for key, tensor in best[2].items()}
    return FoldModel(data.classes, head, run.samples.standardisation, weights), history


@dataclass
class _Run:
    """Samples, module and optimiser of one training."""

    data: FeatureData
    config: TrainingConfig
    samples: Samples
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    ema: Ema | None
    loss: Loss
    generator: torch.Generator

    @classmethod
    def start(cls, data: FeatureData, head: HeadConfig, config: TrainingConfig, generator: torch.Generator) -> _Run:
        samples: Samples
        if head.pools:
            samples = BagSamples(data, head, config, generator)
        else:
            samples = TileSamples(data, head, config, generator)
        epoch_config = config.epoch_config
        optimizer = build_optimizer(
            config.optimizer, _groups(samples.module, config), learning_rate=epoch_config.learning_rate
        )
        schedule = build_schedule(
            config.schedule,
            optimizer,
            learning_rate=epoch_config.learning_rate,
            num_epochs=epoch_config.epochs,
            steps_per_epoch=math.ceil(samples.num_batches / config.step.accumulate),
        )
        loss = Loss(config.loss, samples.class_weights_C)
        return cls(data, config, samples, optimizer, schedule, Ema.of(samples.module, config.step), loss, generator)

    @property
    def module(self) -> nn.Module:
        return self.samples.module

    def train_epoch(self, epoch: int, name: str) -> float:
        """One pass over the samples in a new order; the mean loss."""
        self.module.train()
        num_batches, step = self.samples.num_batches, self.config.step
        order_M = self.samples.sampler.draw(self.generator)
        batches, total = order_M.tensor_split(num_batches), 0.0
        for start in range(0, num_batches, step.accumulate):
            together = batches[start : start + step.accumulate]
            self.schedule.begin_step()
            self.optimizer.zero_grad(set_to_none=True)
            for number, batch in enumerate(together, start=start):
                loss = self._loss(batch)
                value = loss.item()
                if not math.isfinite(value):
                    raise TrainingError(self._diverged(name, value, epoch, number, batch))
                torch.autograd.backward(loss / len(together) if len(together) > 1 else loss)
                total += value * len(batch)
            if step.clip_norm is not None:
                nn.utils.clip_grad_norm_(self.module.parameters(), step.clip_norm)
            self.optimizer.step()
            if self.ema is not None:
                self.ema.update(self.module)
        return total / len(order_M)

    def _loss(self, batch: Tensor) -> Tensor:
        """The loss of a batch, mixed and penalised as the recipe says."""
        samples = self.samples
        vectors_BD, targets_BC, weights_B = samples.vectors(batch), samples.targets_MC[batch], samples.weights_M[batch]
        mix = Mixer(self.config.mixup).draw(len(batch), self.generator)
        if mix is not None:
            vectors_BD = mix.features(vectors_BD)
            targets_BC, weights_B = mix.targets(targets_BC, weights_B)
        loss = self.loss(samples.head(vectors_BD), targets_BC, weights_B)
        more = penalty(self.config.loss, self.module.parameters())
        return loss if more is None else loss + more

    def _diverged(self, name: str, value: float, epoch: int, number: int, batch: Tensor) -> str:
        slides = self.data.train.name_slides(self.samples.tiles(batch).numpy())
        step = epoch * self.samples.num_batches + number + 1
        return (
            f"{name}: the loss is {value} at epoch {epoch + 1}, step {step}, learning rate {self.schedule.rate:.3g}, "
            f"slides {slides}; lower training.learning_rate or training.weight_decay, or look for absurd features of "
            "these slides"
        )

    def score_validation(self, metric: PrimaryMetric) -> tuple[float | None, float | None]:
        """Loss and metric over the slides of validation; None without any, or where the metric is not defined."""
        if not self.data.validation.num_slides:
            return None, None
        self.module.eval()
        with torch.inference_mode():
            probabilities_SC = self.samples.predict_validation()
        return score_probabilities(probabilities_SC, self.data.validation, self.samples.class_weights_C, metric)


def _groups(module: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    """Parameters by their factor on the rate and their decay; each group costs a call in every step."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for layer in module.modules():
        for parameter in layer.parameters(recurse=False):
            matrix = parameter.ndim == 2
            factor = 1.0 / math.sqrt(parameter.shape[1]) if matrix else 1.0
            # Decay apart from the gradient is taken by the undivided rate; biases and norms are not decayed.
            undivided = 1.0 if config.optimizer.kind in {"adam", "sgd"} else factor
            decay = config.weight_decay / undivided if matrix else 0.0
            groups.setdefault((factor, decay), []).append(parameter)
    return [{"params": some, "factor": factor, "weight_decay": decay} for (factor, decay), some in groups.items()]
