"""The loop: an encoder learns to tell the tiles of a part from each other, without their labels."""

from __future__ import annotations

import copy
import logging
from contextlib import closing
from dataclasses import dataclass

import torch
from torch import Tensor

from tilewise.errors import TrainingError
from tilewise.models.networks import TileBatch, TileNetwork
from tilewise.training.config import EpochConfig, TrainingConfig
from tilewise.training.learning import (
    Checkpoint,
    MixConfig,
    OptimizerConfig,
    ScheduleConfig,
    build_optimizer,
    build_schedule,
    seeded,
)
from tilewise.training.networks.batches import DROPOUT, ORDER, Preparer, ahead, laid_out
from tilewise.training.networks.data import PixelPart
from tilewise.training.networks.engine import find_device, training_threads
from tilewise.training.networks.loss_monitor import LossMonitor
from tilewise.training.networks.precision import Precision
from tilewise.training.pretrain.config import PretrainConfig
from tilewise.training.pretrain.contrast import Contrast, nt_xent
from tilewise.training.pretrain.progress import EpochRow, Progress

_log = logging.getLogger(__name__)

_WARMUP = 0.1  # share of the epochs
_ADVICE = "lower pretrain.learning_rate, raise pretrain.temperature, or look at the tiles of these slides"


@dataclass(frozen=True)
class PretrainedEncoder:
    """An encoder after pretraining.

    Attributes:
        weights: of the network without its head, by their names, on the processor.
        rows: what happened in each epoch.
        origin: device and threads.
    """

    weights: dict[str, Tensor]
    rows: tuple[EpochRow, ...]
    origin: dict[str, str | int]


def pretrain(
    network: TileNetwork,
    part: PixelPart,
    config: PretrainConfig,
    training: TrainingConfig,
    progress: Progress,
    *,
    seed: int,
) -> PretrainedEncoder:
    """Let a copy of the network's encoder learn from tiles by SimCLR; the network itself is left as it is.

    Every block of the encoder is trained, whatever `network.trained` says of the training that comes after. Order,
    views and dropout follow from seed, epoch and batch alone, so that a pretraining that was stopped after any epoch
    and goes on from its folder ends as one that was not: on a processor to the bit, with the same number of threads.

    Args:
        network: with its first weights.
        part: the tiles; labels are not looked at.
        config: how.
        training: device, layout, precision, compiling, threads and clipping; nothing else of it counts.
        progress: epochs that are done, and where the state is kept.
        seed: of the projection, order, views and dropout.

    Raises:
        TrainingError: there are fewer than two tiles, or the loss is no longer finite (names the epoch, step, learning
            rate and slides).
        UsageError: the device is not there.
    """
    if len(part) < 2:
        raise TrainingError(
            f"{progress.name}: pretraining tells tiles from each other, and there is {len(part)}; cut more, for "
            "example with a smaller --set tiles.stride_px, or set pretrain.method=none"
        )
    device = find_device(training)
    with training_threads(device, training) as num_threads:
        run = _Run(copy.deepcopy(network), part, config, training, device=device, seed=seed)
        progress.resume(run.checkpoint, run.precision.scaler)
        while len(progress.rows) < config.epochs:
            row = run.train_epoch(len(progress.rows), progress.name)
            progress.add(row, run.checkpoint, run.precision.scaler)
            _log.info("%s: pretraining epoch %d, loss %.4f", progress.name, row.epoch, row.loss)
        origin: dict[str, str | int] = {"device": device.type, "num_threads": num_threads}
        return PretrainedEncoder(encoder_weights(run.contrast.network), tuple(progress.rows), origin)


def encoder_weights(network: TileNetwork) -> dict[str, Tensor]:
    """A copy of everything with a state but the head, on the processor, by its name in the network."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
        if not name.startswith("head.")
    }


class _Run:
    """Encoder, optimiser and tiles of one pretraining."""

    def __init__(
        self,
        network: TileNetwork,
        part: PixelPart,
        config: PretrainConfig,
        training: TrainingConfig,
        *,
        device: torch.device,
        seed: int,
    ) -> None:
        self._part, self._config, self._training, self._seed = part, config, training, seed
        self.precision = Precision(training, device)
        self.contrast = Contrast(network, config, seed=seed).to(device)
        if training.engine.channels_last:
            self.contrast.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._vectors = self.precision.compiled(self.contrast.forward)
        groups = self.contrast.parameter_groups(config.learning_rate, config.weight_decay)
        self._optimizer = build_optimizer(OptimizerConfig(), groups, learning_rate=config.learning_rate)
        epoch_config = EpochConfig(config.epochs, config.learning_rate, None, None, config.batch_size)
        self._num_batches = epoch_config.num_batches(len(part))
        self._schedule = build_schedule(
            ScheduleConfig(warmup_epochs=_WARMUP * config.epochs),
            self._optimizer,
            learning_rate=config.learning_rate,
            num_epochs=config.epochs,
            steps_per_epoch=self._num_batches,
        )
        # Tiles as they are made for a training, of one class that nobody looks at.
        plain = training.engine.model_copy(update={"channels_last": False})
        alone = training.model_copy(update={"mixup": MixConfig(), "engine": plain})
        targets_N1, weights_N = torch.ones(len(part), 1), torch.ones(len(part))
        self._preparer = Preparer(
            part, targets_N1, weights_N, alone, config.augment, device, seed, network.config.crop_px
        )

    @property
    def checkpoint(self) -> Checkpoint:
        """Everything with a state; random numbers have none between epochs."""
        return Checkpoint(self.contrast, self._optimizer, self._schedule)

    def train_epoch(self, epoch: int, name: str) -> EpochRow:
        """One pass over the tiles in a new order."""
        torch.manual_seed(seeded(self._seed, epoch, DROPOUT).initial_seed())  # of encoders that drop
        self.contrast.train()
        order_N = torch.randperm(len(self._part), generator=seeded(self._seed, epoch, ORDER))
        batches = order_N.tensor_split(self._num_batches)
        rate = self._schedule.rate
        said = f"{name}: the pretraining loss is {{}} at epoch {epoch + 1}, step {{}}"
        monitor = LossMonitor(self._part.about, said, _ADVICE)

        def make(number: int) -> TileBatch:
            return self._two_views(epoch, number, batches[number])

        with closing(ahead(make, len(batches), num_workers=self.precision.num_loaders)) as prepared:
            for number, (batch, tiles) in enumerate(zip(prepared, batches, strict=True)):
                now = self._schedule.rate
                monitor.add(tiles, epoch * len(batches) + number + 1, now, *self._step(batch))
            monitor.check()
        loss, matched = (total / len(order_N) for total in monitor.totals)
        return EpochRow(epoch + 1, loss, matched, rate)

    def _two_views(self, epoch: int, number: int, tiles: Tensor) -> TileBatch:
        """All tiles in one view, then all in another."""
        one, two = (self._preparer.make(epoch, 2 * number + view, tiles).batch for view in (0, 1))
        joined = [
            None if first is None or second is None else torch.cat([first, second])
            for first, second in ((one.masks_BHW, two.masks_BHW), (one.wides_BCHW, two.wides_BCHW))
        ]
        both = TileBatch(torch.cat([one.images_BSCHW, two.images_BSCHW]), *joined)
        return laid_out(both, channels_last=self._training.engine.channels_last)

    def _step(self, batch: TileBatch) -> tuple[Tensor, Tensor]:
        self._schedule.begin_step()
        self._optimizer.zero_grad(set_to_none=True)
        with self.precision.autocast():
            vectors_VD = self._vectors(batch)
        loss, matched = nt_xent(vectors_VD.float(), self._config.temperature)
        self.precision.backward(loss)
        self.precision.step(self._optimizer, self.contrast.parameters())
        return loss.detach(), matched
