"""What one process learns of a network's tiles: batches, their loss, and the score of an epoch."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from tilewise.metrics import PrimaryMetric
from tilewise.models.networks import NetworkModel, TileNetwork
from tilewise.training.augment import AugmentConfig
from tilewise.training.history import EpochRow, History, notes
from tilewise.training.networks.batches import ORDER, BatchMaker, TrainingBatch, prefetch
from tilewise.training.networks.data import PixelData
from tilewise.training.networks.engine import Engine, training_threads
from tilewise.training.networks.log import open_log
from tilewise.training.networks.memory import plan_memory, recompute_activations
from tilewise.training.networks.views import DrawnViews
from tilewise.training.networks.worker import Worker
from tilewise.training.samples import sample_weights
from tilewise.training.scores import score_slides, selection_loss
from tilewise.training.tile_weights import class_totals, tile_weights
from tilewise.training_config.training import TrainingConfig
from tilewise.training_loop import (
    Ema,
    EpochTotals,
    Record,
    Sampler,
    Trainer,
    TrainingProgress,
    build_optimizer,
    build_schedule,
    class_weights,
    hard_targets,
    seeded,
)

_DECODERS = 4  # threads that draw views anew beside a graphics card; one beside a processor, which is busy itself


@dataclass(frozen=True)
class NetworkTraining:
    """How a network is trained.

    Attributes:
        config: of the training.
        augment: how tiles are varied.
        seed: of order, variations, mixtures and dropout.
        record: what messages call the training, and where its state is kept.
        metric: that epochs are scored by on validation.
    """

    config: TrainingConfig
    augment: AugmentConfig
    seed: int
    record: Record
    metric: PrimaryMetric


def train_share(
    network: TileNetwork, data: PixelData, training: NetworkTraining, worker: Worker
) -> tuple[NetworkModel, History]:
    """What one process does of `train_network`; every process returns the same model."""
    config, record = training.config, training.record
    views = DrawnViews(
        data.train,
        num_epochs=config.epoch_config.epochs,
        folder=record.folder,
        num_threads=1 if worker.device.type == "cpu" else _DECODERS,
    )
    with closing(views), training_threads(worker.device, config, worker.size) as num_threads:
        objective = NetworkObjective(network, data, views, training, worker)
        progress = TrainingProgress(
            EpochRow,
            record,
            writes=worker.is_first,
            open_log=lambda folder: open_log(config, folder, record.name),
        )
        objective.trainer().run(progress)
        assert progress.best is not None
        history = History(
            tuple(progress.marked()),
            notes(progress.rows, config, data.classes, data.train.slide_data, data.validation.slide_data),
        )
        origin = {"device": worker.device.type, "num_threads": num_threads}
        origin |= {"num_devices": worker.size} if worker.size > 1 else {}
        return NetworkModel.of(network, data.classes, weights=progress.best.weights, origin=origin), history


class NetworkObjective:
    """Tiles of the train part and their loss, slides of validation and their score; see `Objective`.

    Args:
        network: moved to the worker's device, and trained in place.
        data: tiles and labels.
        views: gives the train part of each epoch.
        training: how it is trained.
        worker: the process, one of those that train the network.
    """

    loss_name = "loss"
    advice = "lower training.learning_rate, set training.step.clip_norm=1, or look at the tiles of these slides"

    def __init__(
        self,
        network: TileNetwork,
        data: PixelData,
        views: DrawnViews,
        training: NetworkTraining,
        worker: Worker,
    ) -> None:
        config, seed = training.config, training.seed
        train, num_classes = data.train.slide_data, len(data.classes)
        self._data, self._views, self._config = data, views, config
        self._worker, self._seed, self._metric = worker, seed, training.metric
        self._weights_C = class_weights(config.loss, class_totals(train, num_classes, config.weight))
        self._engine = Engine(network, config, worker, self._weights_C)
        self._sampler = Sampler(config.sampling, train.labels_S, train.tile_slide_N)
        num_draws = self._sampler.num_draws
        self._num_whole = config.epoch_config.num_batches(num_draws)
        plan = plan_memory(
            self._engine,
            config,
            data.train.batch(np.arange(3) % len(data.train)),
            batch_size=-(-num_draws // self._num_whole),
            least_size=num_draws // self._num_whole,
        )
        if plan.num_chunks > 1:
            recompute_activations(network, plan.num_chunks)
        self._num_parts = plan.num_parts
        self.num_batches = self._num_whole * plan.num_parts
        self._engine.start_epoch(0, seed)
        labels_N = train.labels_S[train.tile_slide_N]
        self._batch_maker = BatchMaker(
            data.train,
            hard_targets(torch.from_numpy(labels_N), num_classes),
            sample_weights(tile_weights(train, config.weight), self._weights_C, labels_N),
            config,
            training.augment,
            worker.device,
            seed,
            network.config.crop_px,
        )

    def trainer(self) -> Trainer[Tensor, TrainingBatch, EpochRow]:
        """The loop that trains the network by this objective."""
        network, config, epoch_config = self._engine.network, self._config, self._config.epoch_config
        rate, step = epoch_config.learning_rate, config.step
        groups = network.parameter_groups(rate, config.weight_decay)
        optimizer = build_optimizer(config.optimizer, groups, learning_rate=rate)
        schedule = build_schedule(
            config.schedule,
            optimizer,
            learning_rate=rate,
            num_epochs=epoch_config.epochs,
            steps_per_epoch=math.ceil(self._num_whole / step.accumulate),
        )
        return Trainer(
            self,
            network,
            optimizer,
            schedule,
            epochs=epoch_config.epochs,
            patience=epoch_config.patience if self._data.validation.slide_data.num_slides else None,
            accumulate=step.accumulate * self._num_parts,
            clip_norm=step.clip_norm,
            ema=Ema.of(network, step),
            scaler=self._engine.precision.scaler,
        )

    def batches(self, epoch: int) -> Generator[tuple[Tensor, TrainingBatch]]:
        """See `Objective`; made ahead of their use, from the epoch's own views."""
        batch_maker = replace(self._batch_maker, part=self._views.part(epoch))
        self._engine.start_epoch(epoch, self._seed)
        batches = self._sampler.draw(seeded(self._seed, epoch, ORDER)).tensor_split(self._num_whole)
        make = partial(_make, batch_maker, epoch, batches)
        with closing(prefetch(make, len(batches), num_workers=self._engine.precision.num_loaders)) as prepared:
            for batch in prepared:
                for part in batch.parts(self._num_parts):
                    yield part.tiles, part

    def losses(self, batch: TrainingBatch) -> tuple[Tensor, ...]:
        """See `Objective`; of this process's share of the batch."""
        loss = self._engine.loss(self._worker.share(batch))
        if batch.share != 1.0:  # its value stays, its gradient counts by the share
            loss = batch.share * loss - (batch.share - 1.0) * loss.detach()
        return (loss,)

    def name_slides(self, samples: Tensor) -> str:
        """See `Objective`."""
        return self._data.train.slide_data.name_slides(samples.numpy())

    def score(self, epoch: int, totals: EpochTotals, learning_rate: float) -> tuple[EpochRow, float | None]:
        """See `Objective`; the first process scores the slides of validation."""
        validation = self._data.validation
        scores: tuple[float | None, float | None] = (None, None)
        if validation.slide_data.num_slides:
            if self._worker.is_first:
                head = self._engine.network.head_config
                probabilities_NC = self._engine.probabilities(validation)
                scores = score_slides(probabilities_NC, validation.slide_data, self._weights_C, head, self._metric)
            scores = self._worker.broadcast(scores)
        train_loss = self._worker.mean(totals.values[0]) / totals.num_samples
        row = EpochRow(epoch + 1, train_loss, *scores, learning_rate=learning_rate)
        return row, selection_loss(row, self._config.select_by)


def _make(batch_maker: BatchMaker, epoch: int, batches: tuple[Tensor, ...], number: int) -> TrainingBatch:
    return batch_maker.make(epoch, number, batches[number])
