"""Batches of a training, made ready ahead of their use: gathered, moved, varied and mixed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from tilewise.models.networks import TileBatch
from tilewise.training.augment import Augment, AugmentConfig
from tilewise.training.networks.data import TilePart
from tilewise.training_config.training import TrainingConfig
from tilewise.training_loop import Mix, Mixer, seeded
from tilewise.units import Size

Made = TypeVar("Made")

# Random numbers of an epoch: what each stream is for.
ORDER, DROPOUT, BATCHES = 0, 1, 2


@dataclass(frozen=True)
class TrainingBatch:
    """A batch on the device, as the network takes it.

    Attributes:
        tiles: positions of its tiles in the part, int64 on the processor.
        batch: the tiles.
        targets_BC: shares of the classes.
        weights_B: weight of each tile in the loss.
        mix: how the encoder's vectors are to be mixed; None where they are not.
        share: what its gradient counts beside the other parts of its batch; 1 of a whole batch.
    """

    tiles: Tensor
    batch: TileBatch
    targets_BC: Tensor
    weights_B: Tensor
    mix: Mix | None = None
    share: float = 1.0

    def parts(self, num: int) -> Iterator[TrainingBatch]:
        """The batch in parts; the mean of their gradients, each times its share, is the batch's."""
        if num == 1:
            yield self
            return
        for own in torch.arange(len(self.tiles)).tensor_split(num):
            yield replace(
                self,
                tiles=self.tiles[own],
                batch=self.batch.rows(own.to(self.targets_BC.device)),
                targets_BC=self.targets_BC[own],
                weights_B=self.weights_B[own],
                share=num * len(own) / len(self.tiles),
            )


@dataclass(frozen=True)
class BatchMaker:
    """Makes batches of a part; what comes out depends on seed, epoch, number and tiles alone.

    Attributes:
        part: whose tiles.
        targets_NC: hard labels of all tiles.
        weights_N: of all tiles in the loss.
        config: how tiles are mixed and laid out.
        augment: how they are varied.
        device: where batches go.
        seed: of the training.
        crop_px: side of the squares that are cut out of the tiles at random; None takes them whole.
    """

    part: TilePart
    targets_NC: Tensor
    weights_N: Tensor
    config: TrainingConfig
    augment: AugmentConfig
    device: torch.device
    seed: int
    crop_px: int | None = None

    def make(self, epoch: int, number: int, tiles: Tensor) -> TrainingBatch:
        """The batch of this number, from 0, in an epoch."""
        generator = seeded(self.seed, epoch, BATCHES + number)
        batch = self._varied(self.part.batch(tiles.numpy()).to(self.device, non_blocking=True), generator)
        targets_BC, weights_B = self.targets_NC[tiles].to(self.device), self.weights_N[tiles].to(self.device)
        size = Size(batch.images_BSCHW.shape[-1], batch.images_BSCHW.shape[-2])
        mix = Mixer(self.config.mixup).draw(len(tiles), generator, size=size)
        if mix is not None:
            targets_BC, weights_B = mix.targets(targets_BC, weights_B)
            if self.config.mixup.level == "tiles":
                batch, mix = _mixed(batch, mix), None
        return TrainingBatch(
            tiles, to_memory_format(batch, channels_last=self.config.engine.channels_last), targets_BC, weights_B, mix
        )

    def _varied(self, batch: TileBatch, generator: torch.Generator) -> TileBatch:
        vary, again = Augment(self.augment, crop_px=self.crop_px), torch.Generator()
        again.set_state(generator.get_state())
        images, masks = vary(batch.images_BSCHW, batch.masks_BHW, generator)
        wides = batch.wides_BCHW
        if wides is not None:
            # From the same numbers: tile and slide are turned and coloured alike.
            wides = Augment(self.augment)(wides[:, None], None, again)[0][:, 0]
        return TileBatch(images, masks, wides)


def to_memory_format(batch: TileBatch, *, channels_last: bool) -> TileBatch:
    """The batch with the channels of a pixel together, if so asked."""
    if not channels_last:
        return batch
    lead = batch.images_BSCHW.shape[:2]
    images = batch.images_BSCHW.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    wides = batch.wides_BCHW
    if wides is not None:
        wides = wides.contiguous(memory_format=torch.channels_last)
    return replace(batch, images_BSCHW=images.reshape(*lead, *images.shape[1:]), wides_BCHW=wides)


def prefetch(make: Callable[[int], Made], num: int, *, num_workers: int = 1) -> Generator[Made]:
    """`make(0)`, `make(1)` ... in order, a few made ahead in threads."""
    # One thread each: a second team of threads would keep the network's waiting for each other.
    with ThreadPoolExecutor(num_workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting: deque[Future[Made]] = deque()
        started = 0
        try:
            for _ in range(num):
                while started < num and len(waiting) <= num_workers:
                    waiting.append(pool.submit(make, started))
                    started += 1
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _mixed(batch: TileBatch, mix: Mix) -> TileBatch:
    masks, wides = (None if one is None else mix.pixels(one) for one in (batch.masks_BHW, batch.wides_BCHW))
    return TileBatch(mix.pixels(batch.images_BSCHW), masks, wides)
