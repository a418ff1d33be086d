"""Sums over the batches of an epoch, and the end of a training whose loss is no number any more."""

from __future__ import annotations

import math

from torch import Tensor

from tilewise.errors import TrainingError
from tilewise.training.data import PartData


class LossMonitor:
    """Each batch is looked at once the next one is under way, so that no device waits to be asked.

    Args:
        about: whose tiles the batches hold.
        said: what the message begins with; `{}` for the loss and for the step.
        advice: what it ends with.
    """

    def __init__(self, about: PartData, said: str, advice: str) -> None:
        self._about, self._said, self._advice = about, said, advice
        self._last: tuple[tuple[Tensor, ...], Tensor, int, float] | None = None
        self.totals: list[float] = []

    def add(self, tiles: Tensor, step: int, rate: float, *means: Tensor) -> None:
        """Take in a batch, and look at the one before.

        Args:
            tiles: their positions in the part.
            step: number of the batch, from 1, over all epochs.
            rate: of learning.
            means: the loss, and what else is summed, all over the tiles of the batch.
        """
        self.check()
        self._last = (means, tiles, step, rate)

    def check(self) -> None:
        """Look at the last batch; `totals` then holds each mean times the tiles, summed over all batches so far.

        Raises:
            TrainingError: its loss is not finite.
        """
        if self._last is None:
            return
        (means, tiles, step, rate), self._last = self._last, None
        values = [mean.item() for mean in means]
        if not math.isfinite(values[0]):
            slides = self._about.name_slides(tiles.numpy())
            raise TrainingError(
                f"{self._said.format(values[0], step)}, learning rate {rate:.3g}, slides {slides}; {self._advice}"
            )
        before = self.totals or [0.0] * len(values)
        self.totals = [total + value * len(tiles) for total, value in zip(before, values, strict=True)]
