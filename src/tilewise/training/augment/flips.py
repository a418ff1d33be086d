"""Flips and right angles, a different one for every tile."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilewise.tiles.dihedral import lay
from tilewise.training_config.augment import AugmentConfig


def draw_turns(config: AugmentConfig, num: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A way of `tiles.dihedral` for every tile, int64 (B,)."""
    drawn_B4 = rng.random((num, 4))
    across_B, down_B = drawn_B4[:, 0] < config.horizontal_flip, drawn_B4[:, 1] < config.vertical_flip
    turns_B = np.where(drawn_B4[:, 2] < config.quarter_turn, 1 + np.floor(3 * drawn_B4[:, 3]).astype(np.int64), 0)
    # Top to bottom is left to right and half a turn.
    ways_B: NDArray[np.int64] = (turns_B + 2 * down_B) % 4 + 4 * (across_B ^ down_B)
    return ways_B


def turn(pixels: Tensor, ways_B: NDArray[np.int64]) -> Tensor:
    """Flip and turn tiles or masks (B, ..., H, W); any type.

    Raises:
        ValueError: a tile that is not square is to be turned by 90 or 270 degrees.
    """
    if pixels.shape[-1] != pixels.shape[-2] and (ways_B % 2).any():
        height, width = pixels.shape[-2:]
        raise ValueError(f"only square tiles can be turned, got {width} x {height}; set augment.quarter_turn=0")
    out = torch.empty_like(pixels)
    for index, way in enumerate(ways_B.tolist()):
        out[index] = lay(pixels[index], way)
    return out
