"""What is frozen does not move, what is trained does: block by block, weights and statistics."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from tests.models.networks.made import FAMILIES, cnn, draw_batch, small_network, steps
from tilewise.models import HeadConfig
from tilewise.models.networks import TileNetwork, rate_factors

LABELS = torch.tensor([0, 1] * 3)
CONFIGS: list[dict[str, Any]] = [
    {},
    {"blocks": "fine"},
    {"input": "mask_channel"},
    {"input": "dual_stream", "streams": "separate"},
    {"pooling": "average"},
]


def snapshot(network: TileNetwork) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def assert_only_the_last_moved(network: TileNetwork, before: dict[str, torch.Tensor], num_blocks: int) -> None:
    """The head and the last blocks differ from before; every other tensor, buffers as well, is the same."""
    after = network.state_dict()
    moved = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    trained = network.blocks[network.num_blocks - num_blocks :]
    for block in trained:
        assert moved & set(block.parameters), block.name
    modules = {name.rpartition(".")[0] for block in trained for name in block.parameters}
    assert {name.rpartition(".")[0] for name in moved} <= modules
    for name in before:
        if name.endswith("running_mean"):
            assert (name in moved) == (name.rpartition(".")[0] in modules), name


@pytest.mark.parametrize("family", FAMILIES)
def test_block_by_block_in_every_family(family: str) -> None:
    network = small_network(family)
    batch = draw_batch(6, network.card.input_px)
    for num_blocks in sorted({0, 1, 2, network.num_blocks} if network.num_blocks < 10 else {1, network.num_blocks}):
        network.set_trained(num_blocks)
        before = snapshot(network)
        steps(network, batch, LABELS, 2)  # the head starts at zero, so that the first step moves nothing else
        assert_only_the_last_moved(network, before, num_blocks)
        trained = {name for block in network.blocks[network.num_blocks - num_blocks :] for name in block.parameters}
        assert {name for name, one in network.named_parameters() if one.grad is not None} == trained


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_block_by_block_with_every_input(config: dict[str, Any]) -> None:
    network = small_network("resnet", **config)
    batch = draw_batch(6, network.card.input_px)
    for num_blocks in range(network.num_blocks + 1):
        network.set_trained(num_blocks)
        before = snapshot(network)
        steps(network, batch, LABELS, 2)
        assert_only_the_last_moved(network, before, num_blocks)


def test_the_head_and_what_reads_the_mask_are_always_trained() -> None:
    head = set(cnn(input="dual_branch").blocks[-1].parameters)
    assert {name.partition(".")[0] for name in head} == {"mask_encoder", "head"}
    stem = small_network("resnet", input="mask_channel").blocks[-1].parameters
    assert set(stem) == {"encoder.conv1.0.mask.weight", "head.0.weight", "head.0.bias"}


def test_a_frozen_encoder_learns_to_read_the_mask() -> None:
    network = small_network("resnet", input="mask_channel", trained="frozen")
    network.start_epoch(0)
    batch = draw_batch(6)
    before = network.eval().features(batch)
    steps(network.train(), batch, LABELS, 3, rate=0.5)
    after = network.eval().features(batch)
    assert not torch.allclose(after, before, rtol=1e-3)
    blind = replace(batch, masks_BHW=torch.zeros_like(batch.masks_BHW))
    torch.testing.assert_close(network.features(blind), before)


def test_epochs_follow_the_config() -> None:
    network = cnn(trained="progressive", blocks_per_stage=3, epochs_per_stage=2)
    trained = []
    for epoch in range(6):
        trained.append(network.start_epoch(epoch))
        frozen = [
            not any(network.get_parameter(name).requires_grad for name in one.parameters) for one in network.blocks
        ]
        assert frozen == [True] * (4 - trained[-1]) + [False] * (1 + trained[-1])
    assert trained == [0, 0, 3, 3, 4, 4]


def test_frozen_norms_rest_whenever_training_is_asked_for() -> None:
    network = small_network("resnet")
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(norm.training for norm in norms)
    network.set_trained(1)
    last = set(network.encoder.get_submodule("layer4").modules())
    for _ in range(2):
        assert [norm.training for norm in norms] == [norm in last for norm in norms]
        network.eval()
        assert not any(module.training for module in network.modules())
        network.train()
    network.set_trained(network.num_blocks)
    assert all(norm.training for norm in norms)
    network.eval()
    network.set_trained(2)
    assert not any(module.training for module in network.modules())


def test_a_number_of_blocks_that_is_not_there_is_refused() -> None:
    for number in (-1, 5):
        with pytest.raises(ValueError, match="has 4 blocks"):
            cnn().set_trained(number)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_groups_hold_every_weight_once_at_the_rate_of_its_block(config: dict[str, Any]) -> None:
    network = small_network("resnet", layer_decay=0.5, **config)
    network.set_trained(1)  # frozen weights are in the groups all the same: progressive training comes to them
    groups = network.parameter_groups(0.1, 0.01)
    parameters = [parameter for group in groups for parameter in group["params"]]
    assert len(parameters) == len(set(parameters)) == len(list(network.parameters()))
    block_of = {network.get_parameter(name): block for block in network.blocks for name in block.parameters}
    factors = dict(zip([block.name for block in network.blocks], rate_factors(network.num_blocks, 0.5), strict=True))
    for group in groups:
        assert {block_of[one].name for one in group["params"]} == {group["name"]}
        assert group["factor"] == factors[group["name"]]
        assert group["lr"] == 0.1 * group["factor"]
        assert all((one.ndim > 1) == (group["weight_decay"] == 0.01) for one in group["params"])
        assert group["weight_decay"] in (0.0, 0.01)
    assert {group["lr"] for group in network.parameter_groups(0.1, 0.01, 1.0)} == {0.1}


def test_a_step_is_as_long_as_the_rate_of_its_block() -> None:
    network = cnn(layer_decay=0.1)
    batch, labels_B = draw_batch(6), LABELS
    steps(network, batch, labels_B, 3)
    before = snapshot(network)
    optimizer = torch.optim.SGD(network.parameter_groups(1e-3, 0.0), lr=1.0)
    optimizer.zero_grad()
    nn.functional.cross_entropy(network(batch), labels_B).backward()
    optimizer.step()
    for index, block in enumerate(network.blocks):
        for name in block.parameters:
            expected = before[name] - 1e-3 * 0.1 ** (4 - index) * network.get_parameter(name).grad
            torch.testing.assert_close(network.get_parameter(name).detach(), expected)


def test_tokens_and_embeddings_of_places_are_not_decayed() -> None:
    for family, words in {"vit": ("cls_token", "pos_embed"), "swin": ("relative_position_bias_table",)}.items():
        network = small_network(family)
        free = {
            parameter
            for group in network.parameter_groups(0.1, 0.01)
            for parameter in group["params"]
            if group["weight_decay"] == 0.0
        }
        for name, parameter in network.named_parameters():
            assert (parameter in free) == (parameter.ndim < 2 or name.endswith(words)), name


def test_copies_are_independent_and_draw_the_same() -> None:
    network = cnn(HeadConfig(kind="mlp", dropout=0.5, hidden_sizes=(8,)))
    other = copy.deepcopy(network)
    batch = draw_batch(6)
    steps(network, batch, LABELS, 2)
    before = snapshot(other)
    steps(other, batch, LABELS, 2)
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in other.state_dict().items())
    assert not torch.equal(before["head.1.weight"], other.state_dict()["head.1.weight"])
