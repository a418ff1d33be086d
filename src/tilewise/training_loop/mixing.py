"""MixUp and CutMix: two samples made one, with their labels, masks and weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tilewise.training_loop.config import MixConfig
from tilewise.training_loop.seeds import numpy_from
from tilewise.units import Size


@dataclass(frozen=True)
class Mix:
    """What the samples of one batch are mixed with; the same for pixels, masks, features and labels.

    Attributes:
        partner_B: which other sample of the batch each is mixed with, int64.
        share_B: what stays of the sample itself, float32.
        boxes_B4: CutMix's boxes, where the partner is seen: left, top, right, bottom as parts of width and height,
            float64; None for MixUp.
    """

    partner_B: Tensor
    share_B: Tensor
    boxes_B4: Tensor | None = None

    def pixels(self, pixels: Tensor) -> Tensor:
        """Mix tiles, masks or whole slides, (B, ..., H, W) of any type, which is kept; whole numbers are rounded."""
        partners = pixels[self.partner_B.to(pixels.device)]
        if self.boxes_B4 is None:
            return self._blend(pixels, partners)
        inside_BHW = _inside(self.boxes_B4, width=pixels.shape[-1], height=pixels.shape[-2]).to(pixels.device)
        inside = inside_BHW.reshape(len(pixels), *[1] * (pixels.ndim - 3), *inside_BHW.shape[1:])
        return torch.where(inside, partners, pixels)

    def features(self, features_BD: Tensor) -> Tensor:
        """Mix features (MixUp only)."""
        return self._blend(features_BD, features_BD[self.partner_B.to(features_BD.device)])

    def targets(self, targets_BC: Tensor, weights_B: Tensor) -> tuple[Tensor, Tensor]:
        """Mix labels and weights so that the loss is share * own weight * own loss + the same of the partner.

        Returns:
            Soft labels that sum to 1, and a weight for each.
        """
        partner_B, own_B = self.partner_B.to(targets_BC.device), self.share_B.to(targets_BC)
        own_B, other_B = own_B * weights_B, (1.0 - own_B) * weights_B[partner_B]
        mixed_B = own_B + other_B
        # Two samples without weight are mixed as if each had one: their loss is nothing either way.
        share_B = torch.where(mixed_B > 0, own_B / mixed_B.clamp_min(torch.finfo(mixed_B.dtype).tiny), 1.0)[:, None]
        return share_B * targets_BC + (1.0 - share_B) * targets_BC[partner_B], mixed_B

    def _blend(self, own: Tensor, partners: Tensor) -> Tensor:
        share = self.share_B.to(own.device).reshape(-1, *[1] * (own.ndim - 1))
        mixed = share * own + (1.0 - share) * partners
        return mixed.to(own.dtype) if own.is_floating_point() else mixed.round().to(own.dtype)


class Mixer:
    """Draws how a batch is mixed.

    MixUp: Zhang et al., mixup: beyond empirical risk minimization, ICLR 2018. CutMix: Yun et al., CutMix:
    regularization strategy to train strong classifiers with localizable features, ICCV 2019. Every sample has a share
    of its own.
    """

    def __init__(self, config: MixConfig) -> None:
        self._config = config

    def draw(self, num: int, generator: torch.Generator, *, size: Size | None = None) -> Mix | None:
        """How a batch of `num` samples is mixed; None where it is left as it is.

        Args:
            num: B.
            generator: on the CPU; nothing else decides.
            size: of the tiles, in pixels; left out for features. CutMix needs it.
        """
        config = self._config
        if config.level == "none" or num < 2 or not (config.mixup_alpha or config.cutmix_alpha):
            return None
        rng = numpy_from(generator)
        mixed, cut = rng.random() < config.probability, rng.random() < self._cut_share
        alpha = config.cutmix_alpha if cut else config.mixup_alpha
        if not mixed or alpha == 0.0:
            return None
        partner_B = torch.from_numpy(rng.permutation(num))
        share_B = rng.beta(alpha, alpha, num)
        if not cut:
            return Mix(partner_B, torch.from_numpy(share_B.astype(np.float32)))
        if size is None:
            raise ValueError("CutMix needs the size of the tiles")
        boxes_B4 = _boxes(rng, share_B, size)
        sides_B2 = boxes_B4[:, 2:] - boxes_B4[:, :2]
        share_B = 1.0 - sides_B2.prod(axis=1) / (size.width * size.height)
        relative_B4 = boxes_B4 / [size.width, size.height, size.width, size.height]
        return Mix(partner_B, torch.from_numpy(share_B.astype(np.float32)), torch.from_numpy(relative_B4))

    @property
    def _cut_share(self) -> float:
        config = self._config
        if not config.cutmix_alpha:
            return 0.0
        return config.cutmix_share if config.mixup_alpha else 1.0


def _boxes(rng: np.random.Generator, share_B: np.ndarray, size: Size) -> np.ndarray:
    """Boxes of the area 1 - share about random centres, cut off at the edge; whole pixels, float64 (B, 4)."""
    extent = np.array([size.width, size.height])
    half_B2 = np.sqrt(1.0 - share_B)[:, None] * extent / 2.0
    centres_B2 = rng.random((len(share_B), 2)) * extent
    return np.concatenate(
        [np.round(centres_B2 - half_B2).clip(0, extent), np.round(centres_B2 + half_B2).clip(0, extent)], axis=1
    )


def _inside(boxes_B4: Tensor, *, width: int, height: int) -> Tensor:
    left, top, right, bottom = (edges[:, None] for edges in boxes_B4.unbind(dim=1))
    x_W = (torch.arange(width, dtype=torch.float64) + 0.5) / width
    y_H = (torch.arange(height, dtype=torch.float64) + 0.5) / height
    across_BW, down_BH = (x_W >= left) & (x_W < right), (y_H >= top) & (y_H < bottom)
    return down_BH[:, :, None] & across_BW[:, None, :]
