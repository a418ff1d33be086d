"""Free rotation, shift, scale and elastic bending: one interpolation for all of them."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tilewise.training_config.augment import AffineConfig, ElasticConfig

_LATTICE = 4.0  # points of the lattice per smoothing length
_REACH = 3.0  # smoothing lengths beyond which a Gaussian is nothing

Floats = NDArray[np.float32]


def draw_affine(config: AffineConfig, num: int, rng: np.random.Generator) -> tuple[NDArray[np.bool_], Floats]:
    """Which tiles are moved, bool (B,), and angle in radians, scale, shift in x and y as shares; float32 (B, 4)."""
    moved_B = rng.random(num) < config.probability
    drawn_B4 = rng.uniform(-1.0, 1.0, (num, 4))
    low, high = (math.log(bound) for bound in config.scale)
    # Half and double are as far from 1.
    scale_B = np.exp(low + (high - low) * (drawn_B4[:, 1] + 1.0) / 2.0)
    angle_B = math.radians(config.degrees) * drawn_B4[:, 0]
    moves_B4 = np.column_stack([angle_B, scale_B, config.translation * drawn_B4[:, 2:]])
    return moved_B, moves_B4.astype(np.float32)


def draw_elastic(
    config: ElasticConfig, num: int, width: int, height: int, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], Floats]:
    """Which tiles are bent, bool (B,), and for these how far each pixel looks in x and y, float32 (M, 2, H, W)."""
    bent_B = rng.random(num) < config.probability
    step = max(1.0, config.smooth_px / _LATTICE)
    sigma = config.smooth_px / step
    reach = math.ceil(_REACH * sigma)
    gauss = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    # Of unit length, which keeps the spread of white noise.
    taps = torch.from_numpy((gauss / np.linalg.norm(gauss)).astype(np.float32))
    down, across = (math.ceil(side / step) + 1 for side in (height, width))
    shape = (2 * int(bent_B.sum()), 1, down + 2 * reach, across + 2 * reach)
    noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
    smooth = nn.functional.conv2d(nn.functional.conv2d(noise, taps[None, None, :, None]), taps[None, None, None, :])
    if step > 1.0 and len(smooth):
        smooth = nn.functional.interpolate(smooth, size=(height, width), mode="bicubic", align_corners=True)
    shifts = config.shift_px * smooth[..., :height, :width].reshape(-1, 2, height, width)
    return bent_B, shifts.numpy()


def sampling_grid(moves_M4: Floats, width: int, height: int) -> Tensor:
    """Where each pixel of the result looks, float32 (M, H, W, 2) with the tile from -1 to 1; see `draw_affine`."""
    moves = torch.from_numpy(moves_M4)
    cos, sin = moves[:, 0].cos() / moves[:, 1], moves[:, 0].sin() / moves[:, 1]
    aspect = height / width
    # From the result back to the tile: shift back, then turn back and scale back; a shift of 1 is the whole side.
    linear = torch.stack([cos, sin * aspect, -sin / aspect, cos], dim=1).reshape(-1, 2, 2)
    offset = linear @ (-2.0 * moves[:, 2:, None])
    return nn.functional.affine_grid(
        torch.cat([linear, offset], dim=2), [len(moves), 1, height, width], align_corners=False
    )


def look(pixels: Tensor, grid: Tensor, outside: int) -> Tensor:
    """Tiles (M, C, H, W) as the grid looks at them, between pixels linearly; uint8 in and out.

    Args:
        pixels: tiles or masks.
        grid: of `sampling_grid`, on the same device.
        outside: grey level beyond the edge.
    """
    # What lies outside counts as 0, so the level outside is made 0 first.
    warped = nn.functional.grid_sample(pixels.float() - outside, grid, padding_mode="zeros", align_corners=False)
    return (warped + outside).round_().clamp_(0.0, 255.0).to(torch.uint8)
