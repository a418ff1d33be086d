"""Moments of stages, against timm's own ways to a network's intermediate outputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

from tilewise.encoders import EncoderConfig, build_encoder, find_card
from tilewise.encoders.card import EncoderCard, Stage
from tilewise.encoders.network_encoder import NetworkEncoder
from tilewise.encoders.networks import create_network
from tilewise.encoders.plan import make_plan
from tilewise.encoders.pooling import StagePooling, remove_unused
from tilewise.errors import UsageError
from tilewise.models.networks.build import sized
from tilewise.store import digest_config

# The smallest of each kind of network that has feature maps.
CONVOLUTIONAL = (
    "resnet18", "efficientnet_lite0", "densenet121", "convnext_tiny", "mobilenet_v1", "mobilenet_v3_small", "vgg16",
    "xception", "ctranspath", "simple_cnn", "four_block_cnn",
)  # fmt: skip


def small(name: str, side: int = 64) -> EncoderCard:
    return sized(find_card(name).pooled("stages"), 56 if name == "ctranspath" else side)


def images(side: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(seed))


def test_lite0_has_672_features_of_stages() -> None:
    assert find_card("efficientnet_lite0").pooled("last") is find_card("efficientnet_lite0")
    assert find_card("efficientnet_lite0").pooled("stages").dim == 2 * (24 + 40 + 112) + 320


@pytest.mark.parametrize(
    ("name", "stages"),
    [("resnet18", (1, 2, 3, 4)), ("efficientnet_lite0", (1, 2, 3, 4)), ("densenet121", (1, 2, 3, 4)),
     ("convnext_tiny", (0, 1, 2, 3)), ("mobilenet_v1", (1, 2, 3, 4)), ("mobilenet_v3_small", (1, 2, 3, 4)),
     ("ctranspath", (0, 1, 2, 3))],
)  # fmt: skip
def test_moments_are_those_of_timms_feature_maps(name: str, stages: tuple[int, ...]) -> None:
    card = small(name)
    network = create_network(card, seed=0)
    assert isinstance(network, StagePooling)
    with torch.inference_mode():
        features = network(images(card.input_px))
        intermediates = network.network.forward_intermediates(  # type: ignore[operator]
            images(card.input_px), indices=list(stages), intermediates_only=True, output_fmt="NCHW"
        )
    expected = []
    for index, maps_BCHW in enumerate(one.numpy().astype(np.float64) for one in intermediates):
        expected.append(maps_BCHW.mean(axis=(2, 3)))
        if index < len(stages) - 1:
            expected.append(maps_BCHW.std(axis=(2, 3)))
    np.testing.assert_allclose(features, np.concatenate(expected, axis=1), rtol=1e-4, atol=1.1e-4)


@pytest.mark.parametrize("name", ["dinov2_vits14", "lunit_vits16_dino"])
def test_tokens_are_those_that_timm_gives_of_blocks(name: str) -> None:
    card = sized(find_card(name).pooled("stages"), 56 if name == "dinov2_vits14" else 64)
    network = create_network(card, seed=0)
    with torch.inference_mode():
        features = network(images(card.input_px)).numpy()
        outputs = network.network.get_intermediate_layers(  # type: ignore[operator, union-attr]
            images(card.input_px), n=[5, 11], return_prefix_tokens=True, norm=True
        )
    expected = [part for patches, prefix in outputs for part in (prefix[:, 0], patches.mean(1))]
    np.testing.assert_allclose(features, torch.cat(expected, dim=1).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_everything_that_is_left_of_the_network_learns(name: str) -> None:
    card = small(name)
    network = create_network(card, seed=0)
    with torch.inference_mode():
        before = network(images(card.input_px))
    assert remove_unused(network, card.input_px) == card.dim
    with torch.inference_mode():
        assert torch.equal(network(images(card.input_px)), before)
    network.train()(images(card.input_px)).square().sum().backward()
    gradients = {key: one.grad for key, one in network.named_parameters()}
    assert [key for key, gradient in gradients.items() if gradient is None] == []
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values() if gradient is not None)


def test_layers_behind_the_last_stage_are_left_out() -> None:
    network = create_network(find_card("efficientnet_lite0").pooled("stages"), seed=0)
    remove_unused(network, 224)
    names = {name.split(".")[1] for name, _ in network.named_parameters()}
    assert names == {"conv_stem", "bn1", "blocks"}


class Maps(nn.Module):
    """A network whose only stage gives the images themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = nn.Identity()

    def forward_features(self, maps_BCHW: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.stage(maps_BCHW)
        return out.mul_(0)  # as an activation that works in place


MAPS = arrays.arrays(
    np.float32, (2, 3, 4, 4), elements=st.floats(-1e3, 1e3, width=32) | st.sampled_from([0.0, 5.0]), fill=st.just(0.5)
)


@given(MAPS)
def test_moments_are_finite_and_so_are_their_slopes(maps_BCHW: np.ndarray) -> None:
    """A channel that is the same in all places has a deviation of nearly 0, whose slope is not infinite."""
    network = StagePooling(Maps(), (Stage("stage", 3, ("mean", "deviation")),))
    leaf = torch.from_numpy(maps_BCHW.copy()).requires_grad_()
    features = network(leaf * 1)
    mean, deviation = features.detach().numpy()[:, :3], features.detach().numpy()[:, 3:]
    np.testing.assert_allclose(mean, maps_BCHW.mean(axis=(2, 3)), rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(deviation, maps_BCHW.std(axis=(2, 3)), rtol=1e-4, atol=1.1e-4)
    assert (deviation > 0).all()


def test_a_constant_map_has_a_finite_slope() -> None:
    network = StagePooling(_Doubled(), (Stage("stage", 3, ("mean", "deviation")),))
    leaf = torch.full((1, 3, 4, 4), 2.0, requires_grad=True)
    network(leaf).sum().backward()
    assert leaf.grad is not None
    assert torch.isfinite(leaf.grad).all()
    assert leaf.grad.abs().sum() > 0


class _Doubled(Maps):
    def forward_features(self, maps_BCHW: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.stage(2 * maps_BCHW)
        return out


def test_features_of_the_last_layer_keep_their_signature() -> None:
    """What older versions wrote into runs and named their cached features by."""
    config = EncoderConfig(name="resnet18", init="random", engine="torch", precision="float32")
    last = build_encoder(config).signature["card"]
    assert last == "resnet18 b99be6951a8e"
    staged = build_encoder(config.model_copy(update={"pooling": "stages"})).signature["card"]
    assert staged.startswith("resnet18 stages ")
    assert digest_config(last) != digest_config(staged)


def test_other_moments_are_another_signature() -> None:
    config = EncoderConfig(name="resnet18", engine="torch", precision="float32")
    card = find_card("resnet18")
    fewer = replace(card, stages=card.stages[1:])
    signatures = {
        NetworkEncoder(create_network(one, seed=0), one, make_plan(one, config), weights="random 0").signature["card"]
        for one in (card.pooled("stages"), fewer.pooled("stages"))
    }
    assert len(signatures) == 2


def test_texture_has_no_stages() -> None:
    with pytest.raises(UsageError, match=r"it is no network, so encoder\.pooling mean nothing"):
        build_encoder(EncoderConfig(pooling="stages"))
