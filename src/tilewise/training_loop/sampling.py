"""Which tiles make an epoch: by tile or by slide, balanced or not."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilewise.training_loop.config import SamplingConfig


class Sampler:
    """Draws the tiles of an epoch, in random order.

    Where tiles are drawn more often than there are any, all come once before one comes again.

    Args:
        config: which tiles.
        labels_S: class index of each slide.
        tile_slide_N: position of each tile's slide; every slide has a tile.
    """

    def __init__(self, config: SamplingConfig, labels_S: NDArray[np.int64], tile_slide_N: NDArray[np.int64]) -> None:
        self._unit = config.unit
        self._as_they_are = config.unit == "tile" and config.balance == "none"
        self._num_tiles = len(tile_slide_N)
        # What is drawn: tiles, or slides first and tiles of these then.
        classes = labels_S[tile_slide_N] if config.unit == "tile" else labels_S
        self._pools = [torch.from_numpy(np.flatnonzero(classes == label)) for label in np.unique(classes)]
        self._quotas = _quotas(config, np.array([len(pool) for pool in self._pools]))
        self._tiles_per_slide = config.tiles_per_slide
        order_N = np.argsort(tile_slide_N, kind="stable")
        edges = np.flatnonzero(np.diff(tile_slide_N[order_N])) + 1
        self._tiles_of = [torch.from_numpy(part) for part in np.split(order_N, edges)] if len(order_N) else []

    @property
    def num_draws(self) -> int:
        """Tiles of an epoch."""
        return sum(self._quotas) * (self._tiles_per_slide if self._unit == "slide" else 1)

    def draw(self, generator: torch.Generator) -> Tensor:
        """Positions of the tiles of one epoch, int64 (num_draws,); nothing but the generator decides."""
        if self._as_they_are:
            return torch.randperm(self._num_tiles, generator=generator)
        units = torch.cat(
            [_cycle(pool, quota, generator) for pool, quota in zip(self._pools, self._quotas, strict=True)]
        )
        tiles = units if self._unit == "tile" else self._tiles(units, generator)
        return tiles[torch.randperm(len(tiles), generator=generator)]

    def _tiles(self, slides: Tensor, generator: torch.Generator) -> Tensor:
        """As many tiles of every slide as it is asked for, the same tile again as late as can be."""
        chosen, times = np.unique(slides.numpy(), return_counts=True)
        return torch.cat(
            [
                _cycle(self._tiles_of[slide], time * self._tiles_per_slide, generator)
                for slide, time in zip(chosen.tolist(), times.tolist(), strict=True)
            ]
        )


def _quotas(config: SamplingConfig, counts: NDArray[np.int64]) -> list[int]:
    """How many of each class an epoch draws."""
    if config.balance == "none":
        return [int(count) for count in counts]
    if config.balance == "class":
        edges = np.linspace(0, counts.sum(), len(counts) + 1).round().astype(int)
        return [int(width) for width in np.diff(edges)]
    times = np.minimum((counts.max() / counts) ** config.rare_power, config.rare_most)
    return [int(quota) for quota in np.round(times * counts)]


def _cycle(pool: Tensor, num: int, generator: torch.Generator) -> Tensor:
    """`num` of a pool in random order, all of it before any again."""
    rounds = -(-num // len(pool))
    orders = [torch.randperm(len(pool), generator=generator) for _ in range(rounds)]
    return pool[torch.cat(orders)[:num]] if orders else pool[:0]
