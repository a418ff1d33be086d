"""Folded BatchNorms change nothing but the rounding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from tilewise.encoders import find_card
from tilewise.encoders.card import EncoderCard
from tilewise.encoders.find_weights import packaged_weights
from tilewise.encoders.folding import fold_batch_norms
from tilewise.encoders.load_weights import load_weights
from tilewise.encoders.networks import create_network
from tilewise.encoders.pooling import remove_unused
from tilewise.models.networks.build import sized


def unsettle(network: nn.Module) -> nn.Module:
    """BatchNorms as training leaves them; those of a fresh network only copy."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -0.2, 0.2), (module.running_var, 0.5, 1.5), (module.weight, 0.5, 1.5),
                (module.bias, -0.2, 0.2),
            ):  # fmt: skip
                assert tensor is not None
                tensor.data.uniform_(low, high, generator=generator)
    return network


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


# Left over: DenseNet normalises joined features, Xception those that several blocks were added up to.
@pytest.mark.parametrize(
    ("name", "share"),
    [("resnet18", 1.0), ("resnet50", 1.0), ("efficientnet_b0", 1.0), ("efficientnet_lite0", 1.0), ("densenet121", 0.4),
     ("mobilenet_v1", 1.0), ("mobilenet_v3_small", 1.0), ("xception", 0.8), ("ctranspath", 1.0)],
)  # fmt: skip
def test_features_stay_the_same(name: str, share: float) -> None:
    card = find_card(name) if name == "ctranspath" else sized(find_card(name), 64)
    network = unsettle(create_network(card, seed=0))
    images = torch.randn(2, 3, card.input_px, card.input_px, generator=torch.Generator().manual_seed(0))
    before = norms(network)
    with torch.inference_mode():
        expected = network(images)
        assert fold_batch_norms(network, card.input_px) >= share * before
        features = network(images)
    assert norms(network) <= (1 - share) * before
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


def test_networks_without_batch_norm_are_left_alone() -> None:
    for name in ("convnext_tiny", "dinov2_vits14", "simple_cnn"):
        network = create_network(find_card(name), seed=0)
        weights = dict(network.state_dict())
        assert fold_batch_norms(network, find_card(name).input_px) == 0
        assert all(torch.equal(value, weights[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("pooling", ["last", "stages"])
def test_the_trained_network_stays_the_same(pooling: str) -> None:
    plain = find_card("efficientnet_lite0")
    card = plain.pooled("stages") if pooling == "stages" else plain
    network = create_network(card, seed=0)
    load_weights(network, card, _path(card))
    remove_unused(network, 224)
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        expected = network(images)
        fold_batch_norms(network, 224)
        torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4)


def _path(card: EncoderCard) -> Path:
    path = packaged_weights(card)
    assert path is not None
    return path


class Branching(nn.Module):
    def __init__(self, forward: Callable[[nn.Conv2d, nn.BatchNorm2d, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.conv, self.norm, self.run = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), forward

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        return self.run(self.conv, self.norm, images_BCHW).flatten(1)


@pytest.mark.parametrize(
    ("run", "folded"),
    [
        (lambda conv, norm, x: norm(conv(x)), 1),
        (lambda conv, norm, x: norm(conv(x).relu()), 0),
        (lambda conv, norm, x: norm(conv(conv(x))), 0),
        (lambda conv, norm, x: norm(norm(conv(x))), 0),
        (lambda conv, norm, x: conv(norm(x)), 0),
    ],
)
def test_only_a_norm_right_behind_a_convolution_that_both_run_once_is_folded(run, folded: int) -> None:
    network = unsettle(Branching(run).eval())
    images = torch.randn(2, 3, 8, 8)
    with torch.inference_mode():
        expected = network(images)
        assert fold_batch_norms(network, 8) == folded
        torch.testing.assert_close(network(images), expected, rtol=1e-5, atol=1e-5)
