"""The loop: a head is trained on the features of one fold."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tilewise.errors import TrainingError
from tilewise.metrics import macro_f1
from tilewise.models import FoldModel, HeadConfig, Standardisation
from tilewise.models.aggregate import aggregate_mean
from tilewise.models.heads import build_head
from tilewise.models.threads import reproducible
from tilewise.training.config import TrainingConfig
from tilewise.training.data import FeatureData, PartData
from tilewise.training.history import EpochRow, History
from tilewise.training.weights import class_totals, class_weights, slide_shares

_SMALLEST_BATCH, _LARGEST_BATCH, _STEPS_PER_EPOCH = 32, 2048, 8
_LEAST_PROBABILITY = 1e-12  # a slide that is certainly wrong costs 27.6, not infinity
_WORTH_KEEPING = 1e-9  # a later epoch must be better by more than rounding


def train_head(
    data: FeatureData, head: HeadConfig, config: TrainingConfig, *, seed: int, name: str = "the fold"
) -> tuple[FoldModel, History]:
    """Train a head on `data.train`, keep the epoch that does best on `data.select`.

    AdamW (Loshchilov and Hutter 2019) with a cosine schedule (2017) over all steps. The loss of a tile is its
    cross-entropy times the weight of its class and its share of its slide. Without a select part training runs its full
    length and the last epoch is kept. The same data, configs and seed give the same model, to the bit, on one machine.

    Args:
        data: features and labels of the parts train and select.
        head: what is trained.
        config: how.
        seed: of initial weights, order of tiles and dropout.
        name: what messages call the fold.

    Raises:
        TrainingError: the loss is no longer finite; names the fold, epoch, step and slides.
    """
    with reproducible(config.num_threads):
        run = _Run.start(data, head, config, torch.Generator().manual_seed(seed))
        rows: list[EpochRow] = []
        best: tuple[float, int, dict[str, Tensor]] | None = None
        for epoch in range(config.epochs):
            rate = run.rate(epoch * run.num_batches)
            row = EpochRow(epoch + 1, run.train_epoch(epoch, name), *run.score_select(), learning_rate=rate)
            rows.append(row)
            badness = _badness(row, config)
            if best is None or badness < best[0] - _WORTH_KEEPING:
                best = (badness, epoch, copy.deepcopy(run.module.state_dict()))
            if data.select.num_slides and config.patience is not None and epoch - best[1] >= config.patience:
                break
    assert best is not None
    rows[best[1]] = replace(rows[best[1]], kept=True)
    history = History(tuple(rows), _notes(data, config, rows))
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
    generator: torch.Generator
    inputs_ND: Tensor
    labels_N: Tensor
    weights_N: Tensor
    select_inputs_ND: Tensor
    class_weights_C: NDArray[np.float64]
    num_batches: int

    @classmethod
    def start(cls, data: FeatureData, head: HeadConfig, config: TrainingConfig, generator: torch.Generator) -> _Run:
        train, num_classes = data.train, len(data.classes)
        shares_N = slide_shares(train, config.weight)
        standardisation = Standardisation.fit(train.features_ND, shares_N)
        weights_C = class_weights(class_totals(train, num_classes, config.weight), config.class_weights)
        labels_N = train.labels_S[train.tile_slide_N]
        weights_N = shares_N * weights_C[labels_N]
        module = build_head(head, num_features=train.features_ND.shape[1], num_classes=num_classes, generator=generator)
        return cls(
            data=data,
            config=config,
            standardisation=standardisation,
            module=module,
            optimizer=_optimizer(module, config),
            generator=generator,
            inputs_ND=_tensor(standardisation.apply(train.features_ND)),
            labels_N=torch.from_numpy(labels_N),
            weights_N=_tensor(weights_N / weights_N.mean()),
            select_inputs_ND=_tensor(_standardised(standardisation, data.select)),
            class_weights_C=weights_C,
            num_batches=_num_batches(len(labels_N), config.batch_size),
        )

    def rate(self, step: int) -> float:
        """Learning rate at a step, counted over all epochs."""
        done = step / (self.config.epochs * self.num_batches)
        return self.config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))

    def train_epoch(self, epoch: int, name: str) -> float:
        """One pass over the tiles in a new order; the mean loss."""
        self.module.train()
        order_N = torch.randperm(len(self.labels_N), generator=self.generator)
        total = 0.0
        for number, tiles in enumerate(order_N.tensor_split(self.num_batches)):
            step = epoch * self.num_batches + number
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate(step) * group["factor"]
            losses = nn.functional.cross_entropy(
                self.module(self.inputs_ND[tiles]), self.labels_N[tiles], reduction="none"
            )
            loss = (losses * self.weights_N[tiles]).mean()
            value = loss.item()
            if not math.isfinite(value):
                slides = self.data.train.name_slides(tiles.numpy())
                raise TrainingError(
                    f"{name}: the loss is {value} at epoch {epoch + 1}, step {step + 1}, slides {slides}; "
                    "lower training.learning_rate or training.weight_decay, or look for absurd features of these slides"
                )
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            self.optimizer.step()
            total += value * len(tiles)
        return total / len(order_N)

    def score_select(self) -> tuple[float | None, float | None]:
        """Loss and macro F1 over the slides of select; None without any."""
        select = self.data.select
        if not select.num_slides:
            return None, None
        self.module.eval()
        with torch.inference_mode():
            probabilities_NC = self.module(self.select_inputs_ND).softmax(dim=1).numpy()
        probabilities_SC, _ = aggregate_mean(probabilities_NC, select.tile_slide_N, select.num_slides)
        weights_S = self.class_weights_C[select.labels_S]
        true_S = probabilities_SC[np.arange(select.num_slides), select.labels_S]
        costs_S = -np.log(np.maximum(true_S, _LEAST_PROBABILITY))
        # A select part of classes that are not in train has no weight at all, and nothing to say.
        loss = float((weights_S * costs_S).sum() / weights_S.sum()) if weights_S.any() else float(costs_S.mean())
        return loss, macro_f1(select.labels_S, probabilities_SC.argmax(axis=1), len(self.data.classes))


def _optimizer(module: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    groups = []
    for layer in module.modules():
        for parameter in layer.parameters(recurse=False):
            matrix = parameter.ndim == 2
            factor = 1.0 / math.sqrt(parameter.shape[1]) if matrix else 1.0
            # Decay is taken by the undivided rate; biases and norms are not decayed.
            decay = config.weight_decay / factor if matrix else 0.0
            groups.append({"params": [parameter], "factor": factor, "weight_decay": decay})
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def _num_batches(num_tiles: int, batch_size: int | None) -> int:
    """Batches per epoch, as even as can be; none has a single tile, of which BatchNorm could make nothing."""
    wanted = batch_size or min(max(math.ceil(num_tiles / _STEPS_PER_EPOCH), _SMALLEST_BATCH), _LARGEST_BATCH)
    return max(1, min(math.ceil(num_tiles / wanted), num_tiles // 2))


def _badness(row: EpochRow, config: TrainingConfig) -> float:
    if row.select_loss is None or row.select_macro_f1 is None:
        return -float(row.epoch)  # nothing to choose by: the last epoch is the best
    return row.select_loss if config.select_metric == "loss" else -row.select_macro_f1


def _notes(data: FeatureData, config: TrainingConfig, rows: list[EpochRow]) -> tuple[str, ...]:
    if not data.select.num_slides:
        return (f"no select part: trained for all {len(rows)} epochs, and the last one is kept",)
    missing = [data.classes[index] for index in np.setdiff1d(data.select.labels_S, data.train.labels_S)]
    notes = [f"class {name} is in select but not in train: it cannot be learnt" for name in missing]
    if len(rows) < config.epochs:
        notes.append(
            f"stopped after epoch {len(rows)}: {config.patience} epochs without a better select_{config.select_metric}"
        )
    return tuple(notes)


def _standardised(standardisation: Standardisation, part: PartData) -> NDArray[np.float64]:
    if part.num_slides:
        return standardisation.apply(part.features_ND)
    return np.empty((0, len(standardisation.mean_D)))


def _tensor(array: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))
