"""Cards to networks: what timm builds, what we add to it, and the network that is trained from scratch."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import pairwise
from typing import Any, cast

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from tilewise.encoders.card import EncoderCard, Option
from tilewise.encoders.pooling import StagePooling
from tilewise.torchvision_repair import import_timm


class _Undrawn(TorchFunctionMode):
    """Leaves the weights of a network that is being built as they were allocated."""

    _DRAWING = frozenset({
        nn.init.kaiming_normal_, nn.init.kaiming_uniform_, nn.init.normal_, nn.init.uniform_,
        torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.erfinv_, torch.Tensor.clamp_,
    })  # fmt: skip

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in self._DRAWING:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def create_network(card: EncoderCard, *, seed: int | None) -> nn.Module:
    """Build a card's network, in evaluation mode.

    The network takes normalised float tensors of shape (B, 3, input_px, input_px) and gives (B, dim). The global random
    state is left as it was.

    Args:
        card: of the encoder.
        seed: of the random weights; None where all of them are loaded next, which takes a tenth of the time.

    Raises:
        ValueError: the card belongs to no network.
    """
    with torch.random.fork_rng(devices=[]), _Undrawn() if seed is None else nullcontext():
        torch.manual_seed(seed or 0)
        if card.builder == "cnn":
            network = _from_scratch(card)
        elif card.builder == "timm":
            network = _from_timm(card)
        else:
            raise ValueError(f"{card.name} is not a network")
    if card.pooling == "stages":
        network = StagePooling(network, card.stages)
    return network.eval()


class SimpleCNN(nn.Module):
    """Four blocks of convolution, ReLU and pooling, the last without pooling; then the mean over the image, or all.

    Args:
        width: channels of the last block; the first has an eighth of them.
        flatten: keep the features of every place, an eighth of the image's side in both directions.
    """

    def __init__(self, width: int, *, flatten: bool = False) -> None:
        super().__init__()
        self.flatten = flatten
        widths = (3, width // 8, width // 4, width // 2, width)
        blocks = [
            nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
            for before, after in pairwise(widths[:-1])
        ]
        blocks.append(nn.Sequential(nn.Conv2d(widths[-2], widths[-1], 3, padding=1), nn.ReLU()))
        self.blocks = nn.Sequential(*blocks)

    def group_matcher(self, *, coarse: bool = False) -> dict[str, str]:
        """Which weights belong to which block, as timm's networks say it."""
        del coarse
        return {"stem": r"^blocks\.0", "blocks": r"^blocks\.(\d+)"}

    def forward_features(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        """Normalised images to features (B, width, H / 8, W / 8)."""
        features_BCHW: torch.Tensor = self.blocks(images_BCHW)
        return features_BCHW

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        """Normalised images to features (B, width), or (B, width * H / 8 * W / 8)."""
        features_BCHW = self.forward_features(images_BCHW)
        return features_BCHW.flatten(1) if self.flatten else features_BCHW.mean(dim=(2, 3))


class ClassAndMean(nn.Module):
    """A vision transformer's class token joined with the mean of its patch tokens; registers are left out."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.num_prefix_tokens = int(network.num_prefix_tokens)

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        """Normalised images to features (B, 2 * width)."""
        tokens_BTD = self.network.forward_features(images_BCHW)
        return torch.cat([tokens_BTD[:, 0], tokens_BTD[:, self.num_prefix_tokens :].mean(dim=1)], dim=1)


def bare_network(network: nn.Module) -> nn.Module:
    """The network that weights belong to, without what pools its outputs."""
    return cast("nn.Module", network.network) if isinstance(network, ClassAndMean | StagePooling) else network


def _from_scratch(card: EncoderCard) -> nn.Module:
    # Flattened or pooled by stages, features have another length than the last block has channels.
    width = dict(card.options).get("width", card.stages[-1].width if card.stages else card.dim)
    return SimpleCNN(int(width), flatten=card.architecture == "four_blocks_flat")


def _from_timm(card: EncoderCard) -> nn.Module:
    timm = import_timm()
    options = {name: _layer(value) for name, value in card.options}
    network = cast("nn.Module", timm.create_model(card.architecture, pretrained=False, num_classes=0, **options))
    if card.conversion == "kimianet":
        # KimiaNet averages the last BatchNorm's output; DenseNet puts a ReLU between them.
        network.get_submodule("features.norm5").act = nn.Identity()
    return ClassAndMean(network) if card.pooling == "class_and_mean" else network


def _layer(value: Option) -> Any:
    if value == "SwiGLUPacked":
        from timm.layers import SwiGLUPacked

        return SwiGLUPacked
    if value == "ConvStem":
        return _conv_stem()
    return nn.SiLU if value == "SiLU" else value


def _conv_stem() -> type[nn.Module]:
    """The stem of CTransPath (Wang et al. 2022): two strided convolutions, then one that mixes channels.

    It is a class made when it is asked for, because its base is timm's, which is imported only then.
    """
    from timm.layers import PatchEmbed

    class ConvStem(PatchEmbed):  # type: ignore[misc]
        """Image to (B, H / 4, W / 4, width), where a Swin transformer has one convolution of stride 4."""

        def __init__(self, *, in_chans: int = 3, embed_dim: int = 96, **options: Any) -> None:
            super().__init__(in_chans=in_chans, embed_dim=embed_dim, **options)
            widths = (in_chans, embed_dim // 8, embed_dim // 4)
            layers: list[nn.Module] = []
            for before, after in pairwise(widths):
                layers += [
                    nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                    nn.BatchNorm2d(after),
                    nn.ReLU(),
                ]
            self.proj = nn.Sequential(*layers, nn.Conv2d(widths[-1], embed_dim, 1))

    return ConvStem
