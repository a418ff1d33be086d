"""Blocks: every weight in exactly one, in the order in which an image passes them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.models.networks.made import FAMILIES, small_card
from tilewise.encoders import cards, find_card
from tilewise.encoders.card import EncoderCard
from tilewise.encoders.networks import create_network
from tilewise.models.networks import block_table, encoder_blocks

# The smallest of each architecture's kind is enough: sizes of one kind differ in numbers only.
NETWORKS = {(card.family, card.pooling): card for card in reversed(cards().values()) if card.builder != "texture"}


@pytest.mark.parametrize("card", NETWORKS.values(), ids=lambda card: card.name)
def test_every_weight_is_in_one_block(card: EncoderCard) -> None:
    with torch.device("meta"):
        network = create_network(card, seed=0)
    names = sorted(name for name, _ in network.named_parameters())
    for grain in ("coarse", "fine"):
        blocks = encoder_blocks(network, grain)
        assert sorted(name for block in blocks for name in block.parameters) == names
        assert len({block.name for block in blocks}) == len(blocks) >= 4
        assert blocks[0].name == "stem"
        # A block of norms alone would make `last: 1` mean nothing.
        assert all(any(network.get_parameter(name).ndim > 1 for name in block.parameters) for block in blocks)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_image_passes_the_blocks_in_order(family: str) -> None:
    card = small_card(family)
    network = create_network(card, seed=0)
    weights: list[nn.Parameter] = []

    def note(module: nn.Module, *_: object) -> None:
        weights.extend(module.parameters(recurse=False))

    for module in network.modules():
        if module not in (network, getattr(network, "network", None)):  # tokens belong to the whole
            module.register_forward_pre_hook(note)
    with torch.inference_mode():
        network(torch.zeros(1, 3, card.input_px, card.input_px))
    for grain in ("coarse", "fine"):
        blocks = encoder_blocks(network, grain)
        block_of = {network.get_parameter(name): index for index, one in enumerate(blocks) for name in one.parameters}
        passed = [block_of[weight] for weight in weights]
        assert passed == sorted(passed)
        assert set(passed) == set(range(len(blocks)))


def test_blocks_are_what_their_authors_call_them() -> None:
    rows = block_table(find_card("resnet50"))
    # From the published architecture (torchvision's parameter counts).
    assert [(row["name"], row["layers"], row["parameters"]) for row in rows] == [
        ("stem", 1, 9_536),
        ("layer1", 3, 215_808),
        ("layer2", 4, 1_219_584),
        ("layer3", 6, 7_098_368),
        ("layer4", 3, 14_964_736),
    ]
    assert sum(row["share"] for row in rows) == pytest.approx(1.0)
    names = [row["name"] for row in block_table(find_card("convnext_tiny"))]
    assert names == ["stem", "stages.0", "stages.1", "stages.2", "stages.3"]
    assert [row["name"] for row in block_table(find_card("phikon"))][1:] == [f"blocks.{index}" for index in range(12)]


def test_what_is_no_network_has_no_blocks() -> None:
    assert block_table(find_card("texture")) == []
