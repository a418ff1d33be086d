"""What a network is shown: resized and normalised, the mask and the second image not only taken but used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.models.networks.made import FAMILIES, cnn, draw_batch, overfit, small_card, small_network, steps
from tilewise.encoders import EncoderConfig, build_encoder, find_card
from tilewise.encoders.networks import create_network
from tilewise.models import HeadConfig
from tilewise.models.networks import NetworkConfig, TileBatch, TileNetwork, build_network
from tilewise.models.networks.check import pools_by_average
from tilewise.models.networks.inputs import FeatureMap, MaskStem

LABELS = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])


def only_beside(batch: TileBatch) -> TileBatch:
    """Two tiles for eight labels: what tells the others apart is only the mask, the slide, or the second field."""
    images_BSCHW = batch.images_BSCHW.clone()
    images_BSCHW[:3, 0], images_BSCHW[3:, 0] = images_BSCHW[0, 0], images_BSCHW[3, 0]
    return replace(batch, images_BSCHW=images_BSCHW)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"pooling": "average"},
        {"stages": True},
        {"stages": True, "input": "mask_channel"},
        {"stages": True, "input": "dual_stream", "streams": "separate"},
        {"input": "mask_channel"},
        {"input": "mask_channel", "mask_weights": "mean"},
        {"input": "dual_branch"},
        {"input": "dual_stream"},
        {"input": "dual_stream", "streams": "separate"},
        {"input": "multi_scale"},
        {"input": "multi_scale", "num_fields": 3},
    ],
    ids=str,
)
def test_eight_tiles_are_learnt_by_heart(config: dict[str, Any]) -> None:
    network = cnn(**config)
    network.start_epoch(0)
    batch = draw_batch(num_fields=config.get("num_fields", 2 if config.get("input") == "multi_scale" else 1))
    if network.config.input != "image":
        batch = only_beside(batch)
    rate = 1e-2 if network.config.input == "mask_channel" else 3e-3
    assert overfit(network, batch, LABELS, 400, rate, enough=1e-2) < 1e-2
    assert torch.equal(network.eval()(batch).argmax(dim=1), LABELS)


@pytest.mark.parametrize(
    "family",
    [pytest.param(one, marks=[pytest.mark.soak] * (one in {"swin", "vgg", "xception"})) for one in FAMILIES],
)
def test_eight_tiles_are_learnt_by_heart_in_every_family(family: str) -> None:
    network = small_network(family)
    rate = {"densenet": 1e-2, "swin": 1e-3, "vgg": 3e-4, "xception": 1e-3}.get(family, 3e-3)
    assert overfit(network, draw_batch(side=network.card.input_px), LABELS, 60, rate, enough=0.05) < 0.05


@pytest.mark.soak
@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("resnet18", 1e-3),
        ("efficientnet_b0", 1e-3),
        ("densenet121", 1e-3),
        ("convnext_tiny", 3e-4),
        ("mobilenet_v3_small", 1e-3),
        ("dinov2_vits14", 1e-3),
        ("ctranspath", 3e-4),
    ],
)
def test_eight_tiles_are_learnt_by_heart_by_the_members_themselves(name: str, rate: float) -> None:
    torch.set_num_threads(2)
    config = NetworkConfig(trained="all", input_px=56)
    network = build_network(config, EncoderConfig(name=name, init="random"), HeadConfig(), num_classes=2, seed=0)
    assert overfit(network, draw_batch(side=56), LABELS, 100, rate, enough=0.05) < 0.05


@pytest.mark.parametrize("family", FAMILIES)
def test_a_mask_whose_weights_are_zero_changes_nothing_until_it_is_trained(family: str) -> None:
    alone, masked = small_network(family).eval(), small_network(family, input="mask_channel").eval()
    batch = draw_batch(4, alone.card.input_px)
    assert torch.equal(masked.features(batch), alone.features(batch))
    for name, tensor in alone.encoder.state_dict().items():
        computed = {key.replace(".image.", "."): value for key, value in masked.encoder.state_dict().items()}
        assert torch.equal(computed[name], tensor)
    steps(masked.train(), batch, torch.tensor([0, 1, 0, 1]), 2)
    weight = next(module.mask.weight for module in masked.modules() if isinstance(module, MaskStem))
    assert weight.abs().max() > 0
    nn.init.normal_(weight)
    without = replace(batch, masks_BHW=torch.zeros_like(batch.masks_BHW))
    assert not torch.allclose(masked.features(batch), masked.features(without), rtol=1e-2)


def test_mask_and_image_are_one_convolution_over_four_channels() -> None:
    network = small_network("resnet", input="mask_channel", mask_weights="mean")
    stem = network.encoder.get_submodule("conv1.0")
    rgb = stem.image.weight
    assert torch.equal(stem.mask.weight, rgb.mean(dim=1, keepdim=True))
    inputs_BCHW = torch.randn(2, 4, 32, 32)
    expected = nn.functional.conv2d(inputs_BCHW, torch.cat([rgb, stem.mask.weight], dim=1), stride=2, padding=1)
    torch.testing.assert_close(stem(inputs_BCHW), expected)


def test_pixels_are_normalised_as_the_frozen_encoder_does_it(tmp_path: Path) -> None:
    """The same file of weights gives the same features on both ways through the house."""
    weights = tmp_path / "resnet18.safetensors"
    save_file(create_network(find_card("resnet18"), seed=5).state_dict(), weights)
    network = build_network(
        NetworkConfig(), EncoderConfig(name="resnet18", weights=weights), HeadConfig(), num_classes=2, seed=0
    ).eval()
    config = EncoderConfig(name="resnet18", weights=weights, engine="torch", precision="float32", batch_size=2)
    tiles_NHWC = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    expected = build_encoder(config).encode(tiles_NHWC)
    with torch.inference_mode():
        computed = network.features(TileBatch(torch.from_numpy(tiles_NHWC).permute(0, 3, 1, 2)[:, None])).numpy()
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_tiles_of_any_size_and_kind_of_number_are_taken() -> None:
    network = cnn(input="mask_channel", mask_weights="mean").eval()
    batch = draw_batch(3, 32)
    floats = TileBatch(batch.images_BSCHW.float(), batch.masks_BHW.float())
    assert torch.equal(network.features(batch), network.features(floats))
    large = TileBatch(
        batch.images_BSCHW.repeat_interleave(4, -1).repeat_interleave(4, -2),
        batch.masks_BHW.repeat_interleave(4, -1).repeat_interleave(4, -2),
    )
    assert network.pixels.images(large.images_BSCHW[:, 0]).shape == (3, 3, 32, 32)
    similar = torch.cosine_similarity(network.features(large), network.features(batch))
    assert similar.min() > 0.99
    assert network.pixels.masks(batch.masks_BHW).unique().tolist() == [0.0, 1.0]


def test_the_mean_of_tokens_and_of_maps_is_taken_and_no_weight_is_left_over() -> None:
    for family in ("resnet", "convnext", "mobilenet_v3", "vgg", "swin", "vit_giant", "simple_cnn"):
        network = small_network(family, pooling="average")
        bare = create_network(small_card(family), seed=0)
        bare = getattr(bare, "network", bare)
        images_BCHW = torch.randn(2, 3, network.card.input_px, network.card.input_px)
        features = bare.forward_features(images_BCHW)
        if features.ndim == 3:
            expected = features[:, bare.num_prefix_tokens :].mean(1)
        else:
            expected = features.mean((1, 2) if family == "swin" else (2, 3))
        torch.testing.assert_close(network.eval().encoder(images_BCHW), expected)
        steps(network.train(), draw_batch(6, network.card.input_px), LABELS[:6], 1)
        assert [name for name, one in network.named_parameters() if one.grad is None] == [], family


@pytest.mark.parametrize("family", ["resnet", "efficientnet_lite", "swin", "vit"])
def test_a_network_of_stages_has_the_encoders_features_and_no_weight_is_left_over(family: str) -> None:
    network = small_network(family, stages=True)
    encoder = create_network(small_card(family).pooled("stages"), seed=0)
    images_BCHW = torch.randn(2, 3, network.card.input_px, network.card.input_px)
    with torch.inference_mode():
        assert torch.equal(network.eval().encoder(images_BCHW), encoder(images_BCHW))
    assert network.blocks[0].name == "stem"
    network.set_trained(1)
    batch = draw_batch(6, network.card.input_px)
    steps(network.train(), batch, LABELS[:6], 1)
    trained = {name for name, one in network.named_parameters() if one.grad is not None}
    assert trained == {name for block in network.blocks[-2:] for name in block.parameters}
    network.set_trained(network.num_blocks)
    steps(network, batch, LABELS[:6], 1)
    assert [name for name, one in network.named_parameters() if one.grad is None] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_an_average_on_top_is_known_to_be_idle_where_it_is(family: str) -> None:
    """Of the family's small member, at a size whose last feature map has several places."""
    card = small_card(family)
    side = card.input_px if family in {"vit", "vit_giant", "swin", "simple_cnn"} else 64
    network = create_network(card, seed=0)
    images_BCHW = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        own, averaged = network(images_BCHW), FeatureMap(network)(images_BCHW)
    same = own.shape == averaged.shape and torch.allclose(own, averaged, atol=1e-5)
    assert same == pools_by_average(card)


@pytest.mark.parametrize("family", ["resnet", "vit", "simple_cnn"])
def test_a_flattened_map_keeps_every_place_apart(family: str) -> None:
    network = small_network(family, pooling="flatten").eval()
    images_BCHW = torch.randn(2, 3, network.card.input_px, network.card.input_px)
    bare: Any = create_network(small_card(family), seed=0)
    features = bare.forward_features(images_BCHW)
    if features.ndim == 3:
        features = features[:, bare.num_prefix_tokens :]
    torch.testing.assert_close(network.encoder(images_BCHW), features.reshape(2, -1))
    assert network.head(network.encoder(images_BCHW)).shape == (2, 2)
    steps(network.train(), draw_batch(4, network.card.input_px), LABELS[:4], 1)
    assert [name for name, one in network.named_parameters() if one.grad is None] == []


@pytest.mark.parametrize("kind", ["image", "mask_channel", "dual_branch", "dual_stream"])
def test_of_a_tile_that_is_cropped_the_middle_is_seen_and_nothing_else(kind: str) -> None:
    network, batch = with_weights(cnn(input=kind, crop_px=32)), draw_batch(3, 48)
    middle = slice(8, 40)
    inside = TileBatch(
        batch.images_BSCHW[..., middle, middle].contiguous(), batch.masks_BHW[:, middle, middle], batch.wides_BCHW
    )
    assert torch.equal(network(batch), network(inside))
    around = batch.images_BSCHW.clone()
    around[..., :8] = 255 - around[..., :8]
    assert torch.equal(network(replace(batch, images_BSCHW=around)), network(batch))


def with_weights(network: TileNetwork) -> TileNetwork:
    """With a head that says something: it starts from zero."""
    for parameter in network.head.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    return network.eval()


def test_separate_streams_start_alike_and_part() -> None:
    network = cnn(input="dual_stream", streams="separate").eval()
    batch = draw_batch()
    same = replace(batch, wides_BCHW=batch.images_BSCHW[:, 0])
    tile_BD, wide_BD = network.features(same).chunk(2, dim=1)
    assert torch.equal(tile_BD, wide_BD)
    overfit(network.train(), batch, LABELS, 3, 1e-2)
    tile_BD, wide_BD = network.eval().features(same).chunk(2, dim=1)
    assert not torch.allclose(tile_BD, wide_BD)


def test_the_branch_of_the_mask_may_be_any_network() -> None:
    network = cnn(input="dual_branch", mask_encoder="mobilenet_v3_small").eval()
    assert network.mask_card is not None
    assert network.features(draw_batch(2)).shape == (2, 256 + 1024)


@pytest.mark.parametrize(
    ("config", "batch", "message"),
    [
        ({"input": "mask_channel"}, replace(draw_batch(2), masks_BHW=None), "takes masks"),
        ({"input": "dual_branch"}, replace(draw_batch(2), masks_BHW=None), "takes masks"),
        ({"input": "dual_stream"}, replace(draw_batch(2), wides_BCHW=None), "takes wides"),
        ({"input": "multi_scale"}, draw_batch(2), "takes 2 fields of view"),
        ({}, draw_batch(2, num_fields=2), "takes 1 fields of view"),
    ],
    ids=str,
)
def test_a_batch_without_what_is_needed_is_refused(config: dict[str, Any], batch: TileBatch, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cnn(**config)(batch)


def test_weights_come_from_the_seed_and_the_global_state_stays() -> None:
    before = torch.random.get_rng_state()
    head = HeadConfig(kind="mlp", hidden_sizes=(4,))
    first, again, other = (cnn(head, seed=seed, input="dual_branch") for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    state = first.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.state_dict().items())
    assert not any(
        torch.equal(tensor, state[name])
        for name, tensor in other.state_dict().items()
        if name not in {"head.2.weight", "head.2.bias"}  # zero at first
    )
    assert not torch.equal(state["encoder.blocks.0.0.weight"], state["mask_encoder.blocks.0.0.weight"])


def test_every_head_stands_on_every_encoder() -> None:
    batch = draw_batch(4, 64)
    for norm in ("none", "batch", "layer", "group"):
        head = HeadConfig(kind="mlp", hidden_sizes=(8, 8), norm=norm, activation="silu", dropout=0.2)
        network: TileNetwork = cnn(head)
        steps(network, batch, torch.tensor([0, 1, 0, 1]), 3)
        assert network.eval()(batch).isfinite().all()
