"""The loop: a head is trained on the features of one fold."""

from __future__ import annotations

import copy
import math
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tilewise.encoders.threads import reproducible
from tilewise.errors import TrainingError
from tilewise.models import FoldModel, HeadConfig, Standardisation
from tilewise.models.heads import build_head
from tilewise.training.config import TrainingConfig
from tilewise.training.data import FeatureData, PartData
from tilewise.training.history import EpochRow, History, notes
from tilewise.training.learning import (
    Ema,
    Loss,
    Mixer,
    Sampler,
    Schedule,
    balance,
    build_optimizer,
    build_schedule,
    hard_targets,
    penalty,
)
from tilewise.training.scores import WORTH_KEEPING, badness, score_slides
from tilewise.training.weights import class_totals, slide_shares


def train_head(
    data: FeatureData, head: HeadConfig, config: TrainingConfig, *, seed: int, name: str = "the fold"
) -> tuple[FoldModel, History]:
    """Train a head on `data.train`, keep the epoch that does best on `data.select`.

    The loss of a tile counts by the weight of its class and its share of its slide. Without a select part training runs
    its full length and the last epoch is kept. The same data, configs and seed give the same model, to the bit, on one
    machine.

    Args:
        data: features and labels of the parts train and select.
        head: what is trained.
        config: how.
        seed: of initial weights, order of tiles and dropout.
        name: what messages call the fold.

    Raises:
        TrainingError: the loss is no longer finite; names the fold, epoch, step and slides.
    """
    pace = config.pace
    with reproducible(pace.num_threads or 1):
        run = _Run.start(data, head, config, torch.Generator().manual_seed(seed))
        rows: list[EpochRow] = []
        best: tuple[float, int, dict[str, Tensor]] | None = None
        for epoch in range(pace.epochs):
            rate = run.schedule.rate
            train_loss = run.train_epoch(epoch, name)
            with run.ema.averaged(run.module) if run.ema else nullcontext():
                row = EpochRow(epoch + 1, train_loss, *run.score_select(), learning_rate=rate)
                rows.append(row)
                bad = badness(row, config.select_metric)
                run.schedule.end_epoch(bad if data.select.num_slides else None)
                if best is None or bad < best[0] - WORTH_KEEPING:
                    best = (bad, epoch, copy.deepcopy(run.module.state_dict()))
            if data.select.num_slides and pace.patience is not None and epoch - best[1] >= pace.patience:
                break
    assert best is not None
    rows[best[1]] = replace(rows[best[1]], kept=True)
    history = History(tuple(rows), notes(rows, config, data.classes, data.train, data.select))
    weights = {key: tensor.numpy() for key, tensor in best[2].items()}
    return FoldModel(data.classes, head, run.standardisation, weights), history


@dataclass
class _Run:
    """Tensors, module and optimiser of one training."""

    data: FeatureData
    config: TrainingConfig
    standardisation: Standardisation
    module: nn.Sequential
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    sampler: Sampler
    ema: Ema | None
    generator: torch.Generator
    inputs_ND: Tensor
    targets_NC: Tensor
    weights_N: Tensor
    select_inputs_ND: Tensor
    class_weights_C: NDArray[np.float64]
    num_batches: int
    aggregator: str

    @classmethod
    def start(cls, data: FeatureData, head: HeadConfig, config: TrainingConfig, generator: torch.Generator) -> _Run:
        train, num_classes, pace = data.train, len(data.classes), config.pace
        shares_N = slide_shares(train, config.weight)
        standardisation = Standardisation.fit(train.features_ND, shares_N)
        weights_C = balance(config.loss, class_totals(train, num_classes, config.weight))
        labels_N = train.labels_S[train.tile_slide_N]
        weights_N = shares_N * weights_C[labels_N]
        module = build_head(head, num_features=train.features_ND.shape[1], num_classes=num_classes, generator=generator)
        optimizer = build_optimizer(config.optimizer, _groups(module, config), learning_rate=pace.learning_rate)
        sampler = Sampler(config.sampling, train.labels_S, train.tile_slide_N)
        num_batches = pace.num_batches(sampler.num_draws)
        schedule = build_schedule(
            config.schedule,
            optimizer,
            learning_rate=pace.learning_rate,
            num_epochs=pace.epochs,
            steps_per_epoch=math.ceil(num_batches / config.step.accumulate),
        )
        return cls(
            data=data,
            config=config,
            standardisation=standardisation,
            module=module,
            optimizer=optimizer,
            schedule=schedule,
            sampler=sampler,
            ema=Ema.of(module, config.step),
            generator=generator,
            inputs_ND=_tensor(standardisation.apply(train.features_ND)),
            targets_NC=hard_targets(torch.from_numpy(labels_N), num_classes),
            weights_N=_tensor(weights_N / weights_N.mean()),
            select_inputs_ND=_tensor(_standardised(standardisation, data.select)),
            class_weights_C=weights_C,
            num_batches=num_batches,
            aggregator=head.aggregate,
        )

    def train_epoch(self, epoch: int, name: str) -> float:
        """One pass over the tiles in a new order; the mean loss."""
        self.module.train()
        order_N = self.sampler.draw(self.generator)
        batches = order_N.tensor_split(self.num_batches)
        size, total = self.config.step.accumulate, 0.0
        for start in range(0, self.num_batches, size):
            together = batches[start : start + size]
            self.schedule.begin_step()
            self.optimizer.zero_grad(set_to_none=True)
            for number, tiles in enumerate(together, start=start):
                loss = self._loss(tiles)
                value = loss.item()
                if not math.isfinite(value):
                    step = epoch * self.num_batches + number + 1
                    raise TrainingError(self._diverged(name, value, epoch, step, tiles))
                torch.autograd.backward(loss / len(together) if len(together) > 1 else loss)
                total += value * len(tiles)
            if self.config.step.clip_norm is not None:
                nn.utils.clip_grad_norm_(self.module.parameters(), self.config.step.clip_norm)
            self.optimizer.step()
            if self.ema is not None:
                self.ema.update(self.module)
        return total / len(order_N)

    def _loss(self, tiles: Tensor) -> Tensor:
        """The loss of a batch, mixed and penalised as the recipe says; class weights are in the tiles' weights."""
        inputs_BD, targets_BC, weights_B = self.inputs_ND[tiles], self.targets_NC[tiles], self.weights_N[tiles]
        mix = Mixer(self.config.mixup).draw(len(tiles), self.generator)
        if mix is not None:
            inputs_BD = mix.features(inputs_BD)
            targets_BC, weights_B = mix.targets(targets_BC, weights_B)
        loss = Loss(self.config.loss)(self.module(inputs_BD), targets_BC, weights_B)
        more = penalty(self.config.loss, self.module.parameters())
        return loss if more is None else loss + more

    def _diverged(self, name: str, value: float, epoch: int, step: int, tiles: Tensor) -> str:
        slides = self.data.train.name_slides(tiles.numpy())
        return (
            f"{name}: the loss is {value} at epoch {epoch + 1}, step {step}, learning rate {self.schedule.rate:.3g}, "
            f"slides {slides}; lower training.learning_rate or training.weight_decay, or look for absurd features of "
            "these slides"
        )

    def score_select(self) -> tuple[float | None, float | None]:
        """Loss and macro F1 over the slides of select; None without any."""
        select = self.data.select
        if not select.num_slides:
            return None, None
        self.module.eval()
        with torch.inference_mode():
            probabilities_NC = self.module(self.select_inputs_ND).softmax(dim=1).numpy()
        return score_slides(probabilities_NC, select, self.class_weights_C, self.aggregator)


def _groups(module: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = []
    for layer in module.modules():
        for parameter in layer.parameters(recurse=False):
            matrix = parameter.ndim == 2
            factor = 1.0 / math.sqrt(parameter.shape[1]) if matrix else 1.0
            # Decay apart from the gradient is taken by the undivided rate; biases and norms are not decayed.
            undivided = 1.0 if config.optimizer.kind in {"adam", "sgd"} else factor
            decay = config.weight_decay / undivided if matrix else 0.0
            groups.append({"params": [parameter], "factor": factor, "weight_decay": decay})
    return groups


def _standardised(standardisation: Standardisation, part: PartData) -> NDArray[np.float64]:
    if part.num_slides:
        return standardisation.apply(part.features_ND)
    return np.empty((0, len(standardisation.mean_D)))


def _tensor(array: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))
