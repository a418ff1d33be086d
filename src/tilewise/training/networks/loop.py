"""The loop: a network is trained on the tiles of one fold."""

from __future__ import annotations

import logging
import math
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from tilewise.metrics import PrimaryMetric
from tilewise.models.networks import NetworkModel, TileNetwork
from tilewise.training.augment import AugmentConfig
from tilewise.training.config import TrainingConfig
from tilewise.training.history import EpochRow, History, notes
from tilewise.training.learning import (
    Checkpoint,
    Ema,
    Sampler,
    balance,
    build_optimizer,
    build_schedule,
    hard_targets,
    seeded,
)
from tilewise.training.networks.batches import ORDER, Prepared, Preparer, ahead
from tilewise.training.networks.data import PixelData, PixelPart
from tilewise.training.networks.engine import Engine, find_device, num_devices, training_threads
from tilewise.training.networks.loss_monitor import LossMonitor
from tilewise.training.networks.progress import Best, Progress, Record
from tilewise.training.networks.views import DrawnViews
from tilewise.training.networks.worker import Worker
from tilewise.training.samples import sample_weights
from tilewise.training.scores import score_slides, selection_loss
from tilewise.training.weights import class_totals, slide_shares

_log = logging.getLogger(__name__)

_DECODERS = 4  # threads that draw views anew beside a graphics card; one beside a processor, which is busy itself
_ADVICE = "lower training.learning_rate, set training.step.clip_norm=1, or look at the tiles of these slides"


def train_network(
    network: TileNetwork,
    data: PixelData,
    config: TrainingConfig,
    augment: AugmentConfig | None = None,
    *,
    seed: int,
    record: Record | None = None,
) -> tuple[NetworkModel, History]:
    """Train a network in place on `data.train`, keep the epoch that does best on `data.validation`.

    The loss of a tile counts by the weight of its class and its share of its slide. Without a validation part
    training runs its full length and the last epoch is kept. Order, variations, mixtures and dropout follow from
    seed, epoch and batch alone, so that a training that was stopped after any epoch and goes on from its folder ends
    as one that was
    not: on a processor to the bit, with the same number of threads. Several devices each have a process of their own,
    and the network then has the weights of the epoch that is kept.

    Args:
        network: with its first weights.
        data: tiles and labels of the parts train and validation; `redraw` of train gives each epoch its own views.
        config: how.
        augment: how tiles are varied; None leaves them as they are.
        seed: of order, variations, mixtures and dropout.
        record: what messages call the training, and where its state is kept; None keeps nothing.

    Returns:
        The model of the epoch that is kept, its `origin` naming device and threads, and what happened.

    Raises:
        TrainingError: the loss is no longer finite (names the fold, epoch, step, learning rate and slides), or the
            network cannot be compiled, or one of several processes died.
        UsageError: a device is not there, or batches are too small to be shared by so many.
    """
    record = record or Record()
    device = find_device(config)
    num = num_devices(config, device)
    if num > 1:
        from tilewise.training.networks.distributed import Job, train_together

        job = Job(NetworkModel.of(network, data.classes), config, augment, seed, record)
        model, history = train_together(job, data, num)
        network.load_state_dict({name: torch.from_numpy(array) for name, array in model.weights.items()})
        return model, history
    return train_share(network, data, config, augment, seed=seed, record=record, worker=Worker(device=device))


def train_share(
    network: TileNetwork,
    data: PixelData,
    config: TrainingConfig,
    augment: AugmentConfig | None,
    *,
    seed: int,
    record: Record,
    worker: Worker,
) -> tuple[NetworkModel, History]:
    """What one process of a team does of `train_network`; every process returns the same model."""
    has_validation = bool(data.validation.about.num_slides)
    views = DrawnViews(
        data.train,
        num_epochs=config.epoch_config.epochs,
        folder=record.folder,
        num_threads=1 if worker.device.type == "cpu" else _DECODERS,
    )
    with closing(views), training_threads(worker.device, config, worker.size) as num_threads:
        run = _Run(network, data, config, augment or AugmentConfig(), worker=worker, seed=seed)
        progress = Progress(config, record, worker.is_first)
        progress.resume(run.checkpoint, run.engine.precision.scaler)
        while not progress.is_over(has_validation=has_validation):
            epoch, rate = len(progress.rows), run.schedule.rate
            train_loss = run.train_epoch(epoch, record.name, views.part(epoch))
            with run.ema.averaged(network) if run.ema else nullcontext():
                row = EpochRow(epoch + 1, train_loss, *run.score_validation(record.metric), learning_rate=rate)
                epoch_loss = selection_loss(row, config.select_by)
                run.schedule.end_epoch(epoch_loss if has_validation else None)
                if progress.is_better(epoch_loss):
                    progress.best = Best(epoch, epoch_loss, run.engine.weights())
            progress.rows.append(row)
            progress.save(run.checkpoint, run.engine.precision.scaler)
            _log.info(
                "%s: epoch %d, train loss %.4f, validation loss %s",
                record.name,
                row.epoch,
                train_loss,
                row.validation_loss,
            )
        progress.close()
        assert progress.best is not None
        history = History(
            tuple(progress.marked()),
            notes(progress.rows, config, data.classes, data.train.about, data.validation.about),
        )
        origin = {"device": worker.device.type, "num_threads": num_threads}
        origin |= {"num_devices": worker.size} if worker.size > 1 else {}
        return NetworkModel.of(network, data.classes, weights=progress.best.weights, origin=origin), history


class _Run:
    """Network, optimiser and tiles of one training."""

    def __init__(
        self,
        network: TileNetwork,
        data: PixelData,
        config: TrainingConfig,
        augment: AugmentConfig,
        *,
        worker: Worker,
        seed: int,
    ) -> None:
        train, num_classes, epoch_config = data.train.about, len(data.classes), config.epoch_config
        self._data, self._config, self._team, self._seed = data, config, worker, seed
        self._weights_C = balance(config.loss, class_totals(train, num_classes, config.weight))
        self.engine = Engine(network, config, worker, self._weights_C)
        self.engine.start_epoch(0, seed)
        groups = network.parameter_groups(epoch_config.learning_rate, config.weight_decay)
        self._optimizer = build_optimizer(config.optimizer, groups, learning_rate=epoch_config.learning_rate)
        self._sampler = Sampler(config.sampling, train.labels_S, train.tile_slide_N)
        self._num_batches = epoch_config.num_batches(self._sampler.num_draws)
        self.schedule = build_schedule(
            config.schedule,
            self._optimizer,
            learning_rate=epoch_config.learning_rate,
            num_epochs=epoch_config.epochs,
            steps_per_epoch=math.ceil(self._num_batches / config.step.accumulate),
        )
        self.ema = Ema.of(network, config.step)
        labels_N = train.labels_S[train.tile_slide_N]
        self._preparer = Preparer(
            data.train,
            hard_targets(torch.from_numpy(labels_N), num_classes),
            sample_weights(slide_shares(train, config.weight), self._weights_C, labels_N),
            config,
            augment,
            worker.device,
            seed,
            network.config.crop_px,
        )

    @property
    def checkpoint(self) -> Checkpoint:
        """Everything with a state; random numbers have none between epochs."""
        return Checkpoint(self.engine.network, self._optimizer, self.schedule, self.ema)

    def train_epoch(self, epoch: int, name: str, part: PixelPart) -> float:
        """One pass over the tiles of the train part in a new order; the mean loss."""
        self.engine.start_epoch(epoch, self._seed)
        order_N = self._sampler.draw(seeded(self._seed, epoch, ORDER))
        batches = order_N.tensor_split(self._num_batches)
        make = partial(_make, replace(self._preparer, part=part), epoch, batches)
        size = self._config.step.accumulate
        monitor = LossMonitor(
            self._data.train.about, f"{name}: the loss is {{}} at epoch {epoch + 1}, step {{}}", _ADVICE
        )
        with closing(ahead(make, len(batches), num_workers=self.engine.precision.num_loaders)) as prepared:
            for start in range(0, len(batches), size):
                num_parts, rate = min(size, len(batches) - start), self.schedule.rate
                self.schedule.begin_step()
                self._optimizer.zero_grad(set_to_none=True)
                for number in range(start, start + num_parts):
                    one = next(prepared)
                    loss = self.engine.backward(self._team.share(one), num_parts)
                    monitor.add(one.tiles, epoch * len(batches) + number + 1, rate, loss)
                self.engine.step(self._optimizer)
                if self.ema is not None:
                    self.ema.update(self.engine.network)
            monitor.check()
        return self._team.mean(monitor.totals[0]) / len(order_N)

    def score_validation(self, metric: PrimaryMetric) -> tuple[float | None, float | None]:
        """Loss and metric over the slides of validation; None without any, or where the metric is not defined."""
        validation = self._data.validation
        if not validation.about.num_slides:
            return None, None
        found: tuple[float | None, float | None] = (None, None)
        if self._team.is_first:
            aggregator = self.engine.network.head_config.aggregate
            probabilities_NC = self.engine.probabilities(validation)
            found = score_slides(probabilities_NC, validation.about, self._weights_C, aggregator, metric)
        loss, score = self._team.broadcast(found)
        return loss, score


def _make(preparer: Preparer, epoch: int, batches: tuple[Tensor, ...], number: int) -> Prepared:
    return preparer.make(epoch, number, batches[number])
