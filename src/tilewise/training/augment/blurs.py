"""Gaussian blur, of another width for every tile."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tilewise.training_config.augment import BlurConfig

_REACH = 3.0


def draw_blurs(config: BlurConfig, num: int, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Which tiles are blurred, bool (B,), and their standard deviations in pixels, float32 (B,)."""
    blurred_B = rng.random(num) < config.probability
    return blurred_B, rng.uniform(*config.sigma_px, num).astype(np.float32)


def blur(images_MSCHW: Tensor, sigmas_M: NDArray[np.float32]) -> Tensor:
    """Blur uint8 tiles; edges are mirrored. Axis by axis, by a Gaussian cut off at three standard deviations."""
    blurred = torch.empty_like(images_MSCHW)
    for index, sigma in enumerate(sigmas_M.tolist()):
        # Pixels beyond the tile can be mirrored in it only once.
        reach = min(math.ceil(_REACH * sigma), min(images_MSCHW.shape[-2:]) - 1)
        offsets = torch.arange(-reach, reach + 1, dtype=torch.float32, device=images_MSCHW.device)
        taps = torch.exp(-0.5 * (offsets / sigma) ** 2)
        taps = (taps / taps.sum())[None, None, :, None]
        planes = images_MSCHW[index].flatten(0, 1)[:, None].to(torch.float32)
        padded = nn.functional.pad(planes, [reach] * 4, mode="reflect")
        smooth = nn.functional.conv2d(nn.functional.conv2d(padded, taps), taps.transpose(2, 3))
        blurred[index] = smooth.round_().clamp_(0.0, 255.0).to(torch.uint8).reshape(images_MSCHW.shape[1:])
    return blurred
