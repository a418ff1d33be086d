"""Amounts of haematoxylin and eosin of many tiles at once: `stain.hed_jitter` on tensors."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilewise.stain.augment import density_change
from tilewise.stain.density import DEFAULT_GLASS
from tilewise.stain.dye_vectors import LEAST_DENSITY, PUBLISHED
from tilewise.training_config.augment import HedConfig

_GLASS = DEFAULT_GLASS[0] + 1.0
_BRIGHTEST = 6.0


def draw_stains(config: HedConfig, num: int, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which tiles are changed, bool (B,), and scales then shifts of the two dyes, float64 (B, 4)."""
    changed_B = rng.random(num) < config.probability
    amounts_B4 = config.strength * rng.uniform(-1.0, 1.0, (num, 4)) + [1.0, 1.0, 0.0, 0.0]
    return changed_B, amounts_B4


def change_stains(images_MSCHW: Tensor, amounts_M4: NDArray[np.float64]) -> Tensor:
    """Scale and shift the published dyes in optical density (Tellez et al. 2018); uint8 RGB in and out.

    Agrees with `tilewise.stain.hed_jitter` for the same numbers: what lies off the plane of the dyes stays, and the
    shift is faded in up to the least density of stained tissue, so that glass stays glass.

    Args:
        images_MSCHW: tiles; all fields of view of a tile get the same.
        amounts_M4: of `draw_stains`.
    """
    num, fields = images_MSCHW.shape[:2]
    change_M33, shifts_M3 = density_change(PUBLISHED, amounts_M4[:, :2], amounts_M4[:, 2:])
    towards_M33 = torch.from_numpy(change_M33.transpose(0, 2, 1).astype(np.float32)).to(images_MSCHW.device)
    shift_M3 = torch.from_numpy(shifts_M3.astype(np.float32)).to(images_MSCHW.device)
    density = -((images_MSCHW.reshape(num * fields, 3, -1).to(torch.float32) + 1.0) / _GLASS).log_()
    fade = (density.mean(dim=1, keepdim=True) / LEAST_DENSITY).clamp_(0.0, 1.0)
    shift = fade * shift_M3.repeat_interleave(fields, dim=0)[:, :, None]
    changed = torch.baddbmm(shift, towards_M33.repeat_interleave(fields, dim=0), density)
    light = (math.log(_GLASS) - changed).clamp_(max=_BRIGHTEST).exp_() - 1.0
    return light.round_().clamp_(0.0, 255.0).to(torch.uint8).reshape(images_MSCHW.shape)
