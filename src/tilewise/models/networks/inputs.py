"""What is put around an encoder's network: the mask as a fourth channel, another pooling, pixels made ready."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn

from tilewise.encoders.card import EncoderCard
from tilewise.encoders.networks import bare_network
from tilewise.encoders.preprocess import normalisation


class MaskStem(nn.Module):
    """The first convolution of a network with a fourth input channel, whose weights are a parameter of their own.

    The two parts are one convolution over four channels; apart, the part of the mask can be trained while that of the
    image is frozen.

    Args:
        image: the convolution as it is.
        mean: the fourth channel starts from the mean of the weights of red, green and blue; else from zero.
    """

    def __init__(self, image: nn.Conv2d, *, mean: bool) -> None:
        super().__init__()
        self.image = image
        # A copy, because some of timm's convolutions pad in a way of their own.
        self.mask = copy.deepcopy(image)
        weight = image.weight.detach().mean(dim=1, keepdim=True)
        self.mask.weight = nn.Parameter(weight if mean else torch.zeros_like(weight))
        self.mask.register_parameter("bias", None)
        self.mask.in_channels = 1

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Red, green, blue and mask to what the network's next layer takes."""
        out: Tensor = self.image(images_BCHW[:, :3]) + self.mask(images_BCHW[:, 3:])
        return out


def add_mask_channel(network: nn.Module, *, mean: bool) -> None:
    """Let an encoder's network take a fourth channel, the mask; see `MaskStem`."""
    # The first convolution is the stem in every architecture of the catalogue.
    name, stem = next((name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d))
    network.set_submodule(name, MaskStem(stem, mean=mean))


class FeatureMap(nn.Module):
    """A network's last feature map, or tile tokens, averaged or laid out.

    Args:
        network: an encoder's network.
        flatten: keep the features of every place; otherwise their mean.
    """

    def __init__(self, network: nn.Module, *, flatten: bool = False) -> None:
        super().__init__()
        self.network, self.flatten = bare_network(network), flatten
        self.tokens_from = int(getattr(self.network, "num_prefix_tokens", 0))
        self.channels_last = getattr(self.network, "output_fmt", "NCHW") == "NHWC"

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Normalised images to features (B, width), or (B, width * places)."""
        features: Tensor = cast("Any", self.network).forward_features(images_BCHW)
        if features.ndim == 3:
            features = features[:, self.tokens_from :]
        if self.flatten:
            return features.flatten(1)
        if features.ndim == 3:
            return features.mean(dim=1)
        return features.mean(dim=(1, 2) if self.channels_last else (2, 3))


def crop_middle(pixels: Tensor, side: int) -> Tensor:
    """The square of this side in the middle of tiles or masks (..., H, W); those that are no larger are left whole."""
    height, width = pixels.shape[-2:]
    top, left = max(0, height - side) // 2, max(0, width - side) // 2
    return pixels[..., top : top + side, left : left + side]


class Pixels(nn.Module):
    """Pixels 0..255 of any size to what an encoder takes: a square of its side, normalised.

    The statistics are no part of the saved weights; the card holds them.
    """

    def __init__(self, card: EncoderCard) -> None:
        super().__init__()
        self.side = card.input_px
        mean_C, std_C = (torch.from_numpy(array).view(1, 3, 1, 1) for array in normalisation(card))
        self.register_buffer("mean_C", mean_C, persistent=False)
        self.register_buffer("std_C", std_C, persistent=False)

    def images(self, images_BCHW: Tensor) -> Tensor:
        """RGB, resized with antialiasing and normalised."""
        return (self._square(images_BCHW) - cast("Tensor", self.mean_C)) / cast("Tensor", self.std_C)

    def masks(self, masks_BHW: Tensor) -> Tensor:
        """Masks as one channel (B, 1, side, side), 0..1."""
        return self._square(masks_BHW[:, None]) / 255.0

    def grey(self, masks_BHW: Tensor) -> Tensor:
        """Masks as black and white images (B, 3, side, side), normalised."""
        return self.images(masks_BHW[:, None].expand(-1, 3, -1, -1))

    def _square(self, pixels_BCHW: Tensor) -> Tensor:
        pixels_BCHW = pixels_BCHW.to(cast("Tensor", self.mean_C).dtype)
        if pixels_BCHW.shape[2:] == (self.side, self.side):
            return pixels_BCHW
        return nn.functional.interpolate(pixels_BCHW, size=(self.side, self.side), mode="bilinear", antialias=True)
