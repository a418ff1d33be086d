"""A network made from configs: its encoder's weights, the side it takes, and what it may be asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import nn

from tilewise.compute import prepare_runtime
from tilewise.encoders import EncoderConfig, find_card
from tilewise.encoders.card import EncoderCard
from tilewise.encoders.find_weights import find_weights
from tilewise.encoders.licences import check_licence
from tilewise.encoders.load_weights import load_weights
from tilewise.encoders.networks import bare_network, create_network
from tilewise.errors import RecipeError
from tilewise.models.config import HeadConfig
from tilewise.models.networks.check import check_network
from tilewise.models.networks.config import NetworkConfig
from tilewise.models.networks.network import TileNetwork

# Networks built for one size of input, which timm has to be told of.
_SIZED_FAMILIES = frozenset({"vit", "vit_giant", "swin"})


def build_network(
    network: NetworkConfig,
    encoder: EncoderConfig,
    head: HeadConfig,
    *,
    num_classes: int,
    seed: int,
    offline: bool = False,
) -> TileNetwork:
    """Make the network that configs name, with its first weights, everything trained, in training mode.

    Args:
        network: input, and how much is trained; `TileNetwork.start_epoch` then does it.
        encoder: which one, with which weights.
        head: of what it gives.
        num_classes: C.
        seed: of all weights that are drawn, and of dropout.
        offline: use no network to fetch weights.

    Raises:
        UsageError: there is no such encoder.
        RecipeError: the encoder is no network, or has fewer blocks than are to be trained, or cannot take the input.
        LicenceNotAccepted: the encoder's licence has to be read first.
        EncoderUnavailable: its weights are not here, cannot be fetched, or are another network's.
    """
    check_network(network, encoder)
    prepare_runtime()
    card = sized(find_card(encoder.name).pooled(encoder.pooling), network.input_px)
    body = _encoder(card, encoder, seed=seed, offline=offline)
    mask = None
    if network.input == "dual_branch":
        mask_card = sized(find_card(network.mask_encoder), network.input_px)
        mask_config = EncoderConfig(name=network.mask_encoder, init=network.mask_init)
        # Another seed: two encoders of one kind should not start as one.
        mask = (mask_card, _encoder(mask_card, mask_config, seed=seed + 1, offline=offline))
    made = TileNetwork(network, (card, body), head, num_classes=num_classes, seed=seed, mask_encoder=mask)
    if network.trained == "last" and network.last_blocks > made.num_blocks:
        raise RecipeError(
            f"network.last_blocks: {card.name} has {made.num_blocks} blocks (network.blocks: {network.blocks}), not "
            f"{network.last_blocks}; set network.trained=all, or fewer"
        )
    return made


@cache
def sized(card: EncoderCard, input_px: int | None) -> EncoderCard:
    """The card of an encoder that is to take squares of another side; the length of its features is measured.

    Raises:
        RecipeError: a transformer cannot cut such a square into its tokens.
    """
    if input_px is None or input_px == card.input_px:
        return card
    options = card.options
    if card.family in _SIZED_FAMILIES:
        options = (*((key, value) for key, value in options if key != "img_size"), ("img_size", input_px))
    resized = replace(card, input_px=input_px, options=options)
    with torch.device("meta"):
        network = create_network(resized, seed=None)
        embed: Any = getattr(bare_network(network), "patch_embed", None)
        step = 1 if embed is None else int(embed.patch_size[0])
        if input_px % step:
            raise RecipeError(
                f"network.input_px: {card.name} cuts tiles into squares of {step} px, which {input_px} is no multiple "
                f"of; set network.input_px={-(-input_px // step) * step}"
            )
        features_BD = network(torch.zeros(2, 3, input_px, input_px))
    return replace(resized, dim=features_BD.shape[1])


def _encoder(card: EncoderCard, config: EncoderConfig, *, seed: int, offline: bool) -> nn.Module:
    path = None
    if config.init == "pretrained":
        check_licence(card)
        path = find_weights(card, config, offline=offline)
    network = create_network(card, seed=seed if path is None else None)
    if path is not None:
        load_weights(network, card, path)
    return network
