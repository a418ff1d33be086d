"""Contrastive pretraining: an encoder learns to tell the tiles of a part from each other, without their labels."""

from __future__ import annotations

import copy
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

import torch
from torch import Tensor

from tilewise.compute import find_device
from tilewise.errors import TrainingError
from tilewise.models.networks import TileBatch, TileNetwork
from tilewise.training.networks.batches import DROPOUT, ORDER, BatchMaker, prefetch, to_memory_format
from tilewise.training.networks.data import TilePart
from tilewise.training.networks.engine import training_threads
from tilewise.training.networks.precision import Precision
from tilewise.training.pretrain.simclr import SimCLR, nt_xent
from tilewise.training_config.pretrain import PretrainConfig
from tilewise.training_config.training import EpochConfig, TrainingConfig
from tilewise.training_loop import (
    EpochTotals,
    MixConfig,
    OptimizerConfig,
    Record,
    ScheduleConfig,
    Trainer,
    TrainingProgress,
    build_optimizer,
    build_schedule,
    seeded,
)

_WARMUP = 0.1  # share of the epochs

HISTORY_NAME = "pretraining.csv"
STATE_NAME = "pretraining.safetensors"


@dataclass(frozen=True)
class EpochRow:
    """One epoch of pretraining.

    Attributes:
        epoch: from 1.
        loss: mean over the views; guessing among n tiles a batch gives log(2n - 1).
        matched: share of the views that were most like the other view of their tile, among all of the batch.
        learning_rate: at the start of the epoch.
    """

    epoch: int
    loss: float
    matched: float
    learning_rate: float


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
    part: TilePart,
    config: PretrainConfig,
    training: TrainingConfig,
    record: Record,
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
        record: what messages call the fold, and where the state is kept.
        seed: of the projection, order, views and dropout.

    Raises:
        TrainingError: there are fewer than two tiles, or the loss is no longer finite (names the epoch, step, learning
            rate and slides).
        UsageError: the device is not there.
    """
    if len(part) < 2:
        raise TrainingError(
            f"{record.name}: pretraining tells tiles from each other, and there is {len(part)}; cut more, for "
            "example with a smaller --set tiles.stride_px, or set pretrain.method=none"
        )
    device = find_device(training.engine.device, training.step.precision)
    with training_threads(device, training) as num_threads:
        objective = _ContrastObjective(copy.deepcopy(network), part, config, training, device=device, seed=seed)
        progress = TrainingProgress(EpochRow, record, STATE_NAME, HISTORY_NAME)
        objective.trainer().run(progress)
        origin: dict[str, str | int] = {"device": device.type, "num_threads": num_threads}
        return PretrainedEncoder(encoder_weights(objective.simclr.network), tuple(progress.rows), origin)


def encoder_weights(network: TileNetwork) -> dict[str, Tensor]:
    """A copy of everything with a state but the head, on the processor, by its name in the network."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
        if not name.startswith("head.")
    }


class _ContrastObjective:
    """Tiles in two views, and how badly they are told from each other; see `Objective`."""

    loss_name = "pretraining loss"
    advice = "lower pretrain.learning_rate, raise pretrain.temperature, or look at the tiles of these slides"

    def __init__(
        self,
        network: TileNetwork,
        part: TilePart,
        config: PretrainConfig,
        training: TrainingConfig,
        *,
        device: torch.device,
        seed: int,
    ) -> None:
        self._part, self._config, self._training, self._seed = part, config, training, seed
        self._precision = Precision(training, device)
        self.simclr = SimCLR(network, config, seed=seed).to(device)
        if training.engine.channels_last:
            self.simclr.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._vectors = self._precision.compiled(self.simclr.forward)
        epoch_config = EpochConfig(config.epochs, config.learning_rate, None, None, config.batch_size)
        self.num_batches = epoch_config.num_batches(len(part))
        # Tiles as they are made for a training, of one class that nobody looks at.
        plain = training.engine.model_copy(update={"channels_last": False})
        alone = training.model_copy(update={"mixup": MixConfig(), "engine": plain})
        targets_N1, weights_N = torch.ones(len(part), 1), torch.ones(len(part))
        self._batch_maker = BatchMaker(
            part, targets_N1, weights_N, alone, config.augment, device, seed, network.config.crop_px
        )

    def trainer(self) -> Trainer[Tensor, TileBatch, EpochRow]:
        """The loop that trains the encoder by this objective."""
        config = self._config
        groups = self.simclr.parameter_groups(config.learning_rate, config.weight_decay)
        optimizer = build_optimizer(OptimizerConfig(), groups, learning_rate=config.learning_rate)
        schedule = build_schedule(
            ScheduleConfig(warmup_epochs=_WARMUP * config.epochs),
            optimizer,
            learning_rate=config.learning_rate,
            num_epochs=config.epochs,
            steps_per_epoch=self.num_batches,
        )
        return Trainer(
            self,
            self.simclr,
            optimizer,
            schedule,
            epochs=config.epochs,
            keeps_best=False,
            clip_norm=self._training.step.clip_norm,
            scaler=self._precision.scaler,
        )

    def batches(self, epoch: int) -> Generator[tuple[Tensor, TileBatch]]:
        """See `Objective`; tiles in a new order, in two views each."""
        torch.manual_seed(seeded(self._seed, epoch, DROPOUT).initial_seed())  # of encoders that drop
        self.simclr.train()
        order_N = torch.randperm(len(self._part), generator=seeded(self._seed, epoch, ORDER))
        batches = order_N.tensor_split(self.num_batches)

        def make(number: int) -> TileBatch:
            return self._two_views(epoch, number, batches[number])

        with closing(prefetch(make, len(batches), num_workers=self._precision.num_loaders)) as prepared:
            yield from zip(batches, prepared, strict=True)

    def losses(self, batch: TileBatch) -> tuple[Tensor, ...]:
        """See `Objective`; the loss, and the share of views that are matched."""
        with self._precision.autocast():
            vectors_VD = self._vectors(batch)
        return nt_xent(vectors_VD.float(), self._config.temperature)

    def name_slides(self, samples: Tensor) -> str:
        """See `Objective`."""
        return self._part.slide_data.name_slides(samples.numpy())

    def score(self, epoch: int, totals: EpochTotals, learning_rate: float) -> tuple[EpochRow, None]:
        """See `Objective`; nothing is selected by."""
        loss, matched = totals.means
        return EpochRow(epoch + 1, loss, matched, learning_rate), None

    def _two_views(self, epoch: int, number: int, tiles: Tensor) -> TileBatch:
        """All tiles in one view, then all in another."""
        one, two = (self._batch_maker.make(epoch, 2 * number + view, tiles).batch for view in (0, 1))
        joined = [
            None if first is None or second is None else torch.cat([first, second])
            for first, second in ((one.masks_BHW, two.masks_BHW), (one.wides_BCHW, two.wides_BCHW))
        ]
        both = TileBatch(torch.cat([one.images_BSCHW, two.images_BSCHW]), *joined)
        return to_memory_format(both, channels_last=self._training.engine.channels_last)
