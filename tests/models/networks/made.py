"""Small networks of every family, tiles that differ, and tiles that differ only in what stands beside them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import nn

from tilewise.encoders import EncoderConfig, cards, find_card
from tilewise.encoders.card import EncoderCard, Stage
from tilewise.encoders.networks import create_network
from tilewise.models import HeadConfig
from tilewise.models.networks import NetworkConfig, TileBatch, TileNetwork, build_network

FAMILIES = sorted({card.family for card in cards().values()} - {"texture"})
# A member of each family, its side, the architecture of timm's own tests where it has one of this family, and options.
_SMALL: dict[str, tuple[str, int, str, dict[str, Any]]] = {
    "convnext": ("convnext_tiny", 32, "test_convnext", {}),
    "densenet": ("densenet121", 32, "", {"growth_rate": 4, "block_config": (2, 2, 2, 2)}),
    "efficientnet": ("efficientnet_b0", 32, "test_efficientnet", {}),
    "efficientnet_lite": ("efficientnet_lite0", 32, "", {}),
    "mobilenet_v1": ("mobilenet_v1", 32, "", {}),
    "mobilenet_v3": ("mobilenet_v3_small", 32, "mobilenetv3_small_050", {}),
    "resnet": ("resnet18", 32, "test_resnet", {}),
    "simple_cnn": ("four_block_cnn", 32, "", {}),
    "swin": ("ctranspath", 28, "", {"embed_dim": 24}),
    "vgg": ("vgg16", 32, "vgg11", {"mlp_ratio": 0.01}),
    "vit": ("dinov2_vits14", 28, "", {"embed_dim": 24, "depth": 3, "num_heads": 2, "init_values": 0.1}),
    "vit_giant": ("virchow2", 28, "", {"embed_dim": 24, "depth": 3, "num_heads": 2, "init_values": 0.1}),
    "xception": ("xception", 32, "", {}),
}


def small_card(family: str) -> EncoderCard:
    """The card of a family's small member; the length of its features is measured."""
    name, side, architecture, options = _SMALL[family]
    card = find_card(name)
    sized = {"img_size": side} if family in ("vit", "vit_giant", "swin") else {}
    options = dict(card.options) | options | sized
    card = replace(card, input_px=side, architecture=architecture or card.architecture, options=tuple(options.items()))
    if family in ("vit", "vit_giant"):
        card = replace(card, stages=tuple(Stage(f"blocks.{number}", 24, ("class", "mean")) for number in (0, 2)))
    return replace(card, dim=_measured_dim(card))


@cache
def _measured_dim(card: EncoderCard) -> int:
    with torch.device("meta"):
        features_BD = create_network(card, seed=None)(torch.zeros(2, 3, card.input_px, card.input_px))
    return int(features_BD.shape[1])


def small_network(
    family: str, seed: int = 0, num_classes: int = 2, *, stages: bool = False, **config: Any
) -> TileNetwork:
    """A network of a family's small member with a linear head; `stages` pools its card's stages."""
    card = small_card(family)
    if stages:
        card = card.pooled("stages")
    made = NetworkConfig.model_validate({"trained": "all"} | config)
    body = (card, create_network(card, seed=seed))
    return TileNetwork(made, body, HeadConfig(), num_classes=num_classes, seed=seed)


def cnn(
    head: HeadConfig | None = None, *, seed: int = 0, num_classes: int = 2, stages: bool = False, **config: Any
) -> TileNetwork:
    """The simple CNN by the ordinary way, at 32 pixels; `stages` pools its card's stages."""
    network = NetworkConfig.model_validate({"trained": "all", "input_px": 32} | config)
    encoder = EncoderConfig(name="simple_cnn", init="random", pooling="stages" if stages else "last")
    return build_network(network, encoder, head or HeadConfig(), num_classes=num_classes, seed=seed)


def draw_batch(num_tiles: int = 8, side: int = 32, *, num_fields: int = 1, seed: int = 0) -> TileBatch:
    """Tiles of noise of a colour of their own, with masks and slides that differ as well."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        ground = torch.randint(40, 216, (*shape[:-2], 1, 1), generator=generator)
        return (ground + torch.randint(-40, 40, shape, generator=generator)).to(torch.uint8)

    masks_BHW = torch.zeros(num_tiles, side, side, dtype=torch.uint8)
    for index, mask in enumerate(masks_BHW):
        mask[: 1 + index * (side - 1) // num_tiles] = 255
    return TileBatch(noise(num_tiles, num_fields, 3, side, side), masks_BHW, noise(num_tiles, 3, side, side))


def steps(network: TileNetwork, batch: TileBatch, labels_B: torch.Tensor, num_steps: int, rate: float = 0.05) -> None:
    """Train for some steps of plain gradient descent."""
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    for _ in range(num_steps):
        _step(optimizer, nn.functional.cross_entropy(network(batch), labels_B))


def overfit(
    network: TileNetwork, batch: TileBatch, labels_B: torch.Tensor, num_steps: int, rate: float, *, enough: float = 1e-3
) -> float:
    """Train with Adam until the loss is below `enough`, and return the last loss."""
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    value = float("nan")
    for _ in range(num_steps):
        loss = nn.functional.cross_entropy(network(batch), labels_B)
        value = loss.item()
        if value < enough:
            break
        _step(optimizer, loss)
    return value


def _step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
