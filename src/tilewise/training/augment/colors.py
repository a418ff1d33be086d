"""Brightness, contrast, saturation and hue of many tiles at once."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilewise.training_config.augment import ColorConfig

# Grey as torchvision has it (ITU-R 601-2).
_LUMA = (0.2989, 0.587, 0.114)


def draw_colors(
    config: ColorConfig, num: int, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Which tiles are changed, bool (B,), and factors of brightness, contrast, saturation, and hue; float32 (B, 4)."""
    changed_B = rng.random(num) < config.probability
    reach = np.array([config.brightness, config.contrast, config.saturation, config.hue])
    drawn_B4 = reach * rng.uniform(-1.0, 1.0, (num, 4)) + [1.0, 1.0, 1.0, 0.0]
    return changed_B, drawn_B4.astype(np.float32)


def change_colors(images_MSCHW: Tensor, factors_M4: NDArray[np.float32]) -> Tensor:
    """Change colours of uint8 tiles as torchvision's `adjust_brightness`, `_contrast`, `_saturation`, in this order.

    All four are linear in the pixels, so they are one matrix and one offset for each tile, and nothing is cut off or
    rounded in between. Hue is turned about the grey axis, which keeps the mean of the channels, and not in HSV, which
    keeps the largest; at thirds of a turn the two are the same.

    Args:
        images_MSCHW: RGB; each field of view has a mean grey of its own.
        factors_M4: of `draw_colors`.
    """
    num, fields = images_MSCHW.shape[:2]
    pixels = images_MSCHW.reshape(num * fields, 3, -1).to(torch.float32)
    factors = torch.from_numpy(factors_M4).to(pixels.device).repeat_interleave(fields, dim=0)
    brightness, contrast, saturation = (factors[:, column, None, None] for column in range(3))
    luma = torch.tensor(_LUMA, device=pixels.device)
    eye = torch.eye(3, device=pixels.device)
    grey = luma.expand(3, 3)
    turned = _turn_hue(2.0 * math.pi * factors[:, 3])
    matrix = turned @ (saturation * eye + (1.0 - saturation) * grey) * (contrast * brightness)
    mean = brightness * (pixels.mean(dim=2) @ luma)[:, None, None]
    # The mean grey is the same in all channels, and neither saturation nor hue changes a grey.
    changed = torch.baddbmm((1.0 - contrast) * mean, matrix, pixels)
    return changed.round_().clamp_(0.0, 255.0).to(torch.uint8).reshape(images_MSCHW.shape)


def _turn_hue(angles: Tensor) -> Tensor:
    """Matrices (N, 3, 3) that turn colours about the grey axis, red towards green (Rodrigues' formula)."""
    cos, sin = angles.cos()[:, None, None], angles.sin()[:, None, None]
    eye = torch.eye(3, device=angles.device)
    across = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]], device=angles.device) / math.sqrt(3.0)
    return cos * eye + (1.0 - cos) / 3.0 + sin * across
