"""Training of a U-Net on pictures of slides and their masks."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from tilewise.compute import reproducible
from tilewise.encoders import find_card
from tilewise.segment.config import UNetConfig
from tilewise.segment.network import normalised
from tilewise.stain.augment import hed_jitter
from tilewise.training_loop import EpochTotals, Record, Schedule, ScheduleConfig, Trainer, TrainingProgress

_WARM_UP = 0.1
_LARGEST_GRADIENT = 5.0

Squares = npt.NDArray[np.uint8]
_Batch = tuple[torch.Tensor, torch.Tensor]  # pictures, masks


def train_unet(
    network: nn.Module,
    squares: Squares,
    masks: Squares,
    config: UNetConfig,
    *,
    seed: int,
    names: Sequence[str],
    what: str = "the U-Net",
) -> float:
    """Train a U-Net in place; returns the mean loss of the last epoch.

    The loss is binary cross-entropy plus the soft Dice loss over the batch (Milletari et al. 2016). AdamW, a rate that
    rises over the first tenth of the steps and falls as a cosine. Pictures are turned, mirrored and zoomed, and their
    dyes varied. The same input and seed give the same weights, to the bit, on one machine.

    Args:
        network: as `create_unet` makes it.
        squares: uint8 (N, side, side, 3).
        masks: uint8 (N, side, side) of 0 and 1.
        config: how.
        seed: of order and augmentation.
        names: of the slides, for messages.
        what: how messages call the network.

    Raises:
        TrainingError: the loss is no longer finite; names the epoch, step, learning rate and slides.
    """
    with reproducible(config.num_threads):
        objective = _MaskObjective(network, squares, masks, config, rng=np.random.default_rng(seed), names=names)
        groups = [{"params": list(network.parameters()), "factor": 1.0}]
        optimizer = torch.optim.AdamW(groups, config.learning_rate, weight_decay=config.weight_decay)
        trainer = Trainer(
            objective,
            network,
            optimizer,
            _WarmUpCosine(ScheduleConfig(), optimizer, config.learning_rate, config.epochs, objective.num_batches),
            epochs=config.epochs,
            keeps_best=False,
            clip_norm=_LARGEST_GRADIENT,
        )
        progress = TrainingProgress(EpochRow, Record(what))
        trainer.run(progress)
    network.eval()
    return progress.rows[-1].loss


@dataclass(frozen=True)
class EpochRow:
    """One epoch, from 1, and its mean loss."""

    epoch: int
    loss: float


class _MaskObjective:
    """Pictures of slides, varied, and the loss of their masks; see `Objective`."""

    loss_name = "loss"
    advice = "lower segment.unet.learning_rate, or look at these"

    def __init__(
        self,
        network: nn.Module,
        squares: Squares,
        masks: Squares,
        config: UNetConfig,
        *,
        rng: np.random.Generator,
        names: Sequence[str],
    ) -> None:
        self._network, self._squares, self._masks, self._config = network, squares, masks, config
        self._rng, self._names, self._card = rng, names, find_card(config.encoder)
        self.num_batches = math.ceil(len(squares) / config.batch_size)

    def batches(self, epoch: int) -> Generator[tuple[npt.NDArray[np.int64], _Batch]]:
        """See `Objective`."""
        del epoch  # the generator alone decides
        self._network.train()
        # Batches are as even as can be; BatchNorm could make little of a single slide.
        for chosen in np.array_split(self._rng.permutation(len(self._squares)), self.num_batches):
            yield chosen, _augmented(self._squares[chosen], self._masks[chosen], self._config, self._rng)

    def losses(self, batch: _Batch) -> tuple[torch.Tensor, ...]:
        """See `Objective`."""
        pictures_BHWC, truth_BHW = batch
        logits_BHW = self._network(normalised(pictures_BHWC, self._card))[:, 0]
        return (segmentation_loss(logits_BHW, truth_BHW),)

    def name_slides(self, samples: npt.NDArray[np.int64]) -> str:
        """See `Objective`."""
        return ", ".join(self._names[index] for index in samples)

    def score(self, epoch: int, totals: EpochTotals, learning_rate: float) -> tuple[EpochRow, None]:
        """See `Objective`; nothing is selected by."""
        del learning_rate
        return EpochRow(epoch + 1, totals.means[0]), None


class _WarmUpCosine(Schedule):
    """A rate that rises over the first tenth of the steps and falls as a cosine."""

    def share(self, step: int) -> float:
        """See `Schedule`."""
        position = step / self.num_steps
        if position < _WARM_UP:
            return (position + 0.01) / (_WARM_UP + 0.01)
        return 0.5 * (1.0 + math.cos(math.pi * (position - _WARM_UP) / (1.0 - _WARM_UP)))


def segmentation_loss(logits_BHW: torch.Tensor, truth_BHW: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy plus 1 - Dice of the probabilities over the whole batch; truth float (B, H, W), 0 to 1."""
    entropy = nn.functional.binary_cross_entropy_with_logits(logits_BHW, truth_BHW)
    probability_BHW = logits_BHW.sigmoid()
    shared = (probability_BHW * truth_BHW).sum()
    dice = (2.0 * shared + 1.0) / (probability_BHW.sum() + truth_BHW.sum() + 1.0)
    return entropy + 1.0 - dice


def _augmented(
    squares: Squares, masks: Squares, config: UNetConfig, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn, mirror, zoom and re-dye a batch: uint8 (B, H, W, 3) and float32 (B, H, W)."""
    pictures, truths = [], []
    for square, mask in zip(squares, masks, strict=True):
        quarter_turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        picture, truth = np.rot90(square, quarter_turns), np.rot90(mask, quarter_turns)
        if mirrored:
            picture, truth = picture[:, ::-1], truth[:, ::-1]
        picture, truth = _zoomed(np.ascontiguousarray(picture), np.ascontiguousarray(truth), config.zoom, rng)
        pictures.append(hed_jitter(picture, rng, strength=config.jitter))
        truths.append(truth)
    return torch.from_numpy(np.stack(pictures)), torch.from_numpy(np.stack(truths).astype(np.float32))


def _zoomed(
    picture: Squares, truth: Squares, most: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Scale about a random point; what comes in from outside is the mirror image."""
    scale = math.exp(rng.uniform(-1.0, 1.0) * math.log1p(most))
    side = picture.shape[0]
    x, y = rng.uniform(0.0, side, 2)
    matrix = np.array([[scale, 0.0, x * (1.0 - scale)], [0.0, scale, y * (1.0 - scale)]])
    size = (side, side)
    return (
        np.asarray(cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)),
        np.asarray(cv2.warpAffine(truth, matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)),
    )
