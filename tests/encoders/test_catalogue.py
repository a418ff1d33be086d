"""Every card holds what its network gives, and the catalogue costs nothing to read."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tilewise.encoders import cards, find_card
from tilewise.encoders.card import EncoderCard
from tilewise.encoders.licences import LICENCES
from tilewise.errors import UsageError

NETWORKS = [card for card in cards().values() if card.builder != "texture"]

# Millions of parameters as published beside the weights, or the size of the published float32 file in MB.
PARAMETERS = {"virchow2": 631.2, "prov_gigapath": 1130, "resnet50": 23.5, "vgg16": 134.3, "xception": 20.8}
FILE_MB = {
    "h_optimus_0": 4540,
    "lunit_vits8_dino": 86.7,
    "lunit_vits16_dino": 86.7,
    "lunit_resnet50_swav": 94.3,
    "phikon": 343,
}


@pytest.mark.parametrize("card", NETWORKS, ids=lambda card: card.name)
def test_card_equals_its_network(card: EncoderCard) -> None:
    import torch

    from tilewise.encoders.networks import bare_network, create_network
    from tilewise.encoders.pooling import StagePooling

    with torch.device("meta"):
        network = create_network(card, seed=None)
        features = network(torch.zeros(2, 3, card.input_px, card.input_px))
        of_stages = StagePooling(bare_network(network), card.stages)(torch.zeros(2, 3, card.input_px, card.input_px))
    assert features.shape == (2, card.dim)
    assert of_stages.shape == (2, card.pooled("stages").dim)
    embed = getattr(bare_network(network), "patch_embed", None)
    if embed is not None:
        assert embed.img_size == (card.input_px, card.input_px)
    parameters = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    if card.name in PARAMETERS:
        assert parameters == pytest.approx(PARAMETERS[card.name], rel=0.01)
    if card.name in FILE_MB:
        assert parameters * 4 == pytest.approx(FILE_MB[card.name], rel=0.005)


@pytest.mark.parametrize(
    "card", [card for card in NETWORKS if card.source.startswith("timm/")], ids=lambda card: card.name
)
def test_card_equals_what_timm_says_of_its_weights(card: EncoderCard) -> None:
    timm = pytest.importorskip("tilewise.torchvision_repair").import_timm()
    config = timm.get_pretrained_cfg(card.source.removeprefix("timm/"))
    assert config.hf_hub_id == card.source
    assert config.mean == card.mean
    assert config.std == card.std
    assert config.license == card.licence.lower()
    if card.name != "dinov2_vits14":
        assert config.input_size == (3, card.input_px, card.input_px)


def test_xception_is_the_file_timm_names() -> None:
    timm = pytest.importorskip("tilewise.torchvision_repair").import_timm()
    config = timm.get_pretrained_cfg("legacy_xception.tf_in1k")
    card = find_card("xception")
    assert (config.url, config.input_size, config.mean) == (card.source, (3, card.input_px, card.input_px), card.mean)


def test_the_network_of_system_e_keeps_every_place() -> None:
    """Four blocks of convolution, ReLU and pooling, none in the last, then flattened."""
    import torch

    from tilewise.encoders.networks import create_network

    network = create_network(find_card("four_block_cnn"), seed=0)
    kinds = [type(module).__name__ for module in network.modules() if not list(module.children())]
    assert kinds == ["Conv2d", "ReLU", "MaxPool2d"] * 3 + ["Conv2d", "ReLU"]
    with torch.inference_mode():
        images_BCHW = torch.rand(1, 3, 32, 32)
        features_BD = network(images_BCHW)
        assert torch.equal(features_BD, network.forward_features(images_BCHW).flatten(1))
        assert features_BD.shape == (1, 64 * 4 * 4)


def test_texture_card_holds_the_length_of_the_vector() -> None:
    from tilewise.encoders.texture import TEXTURE_DIM

    assert find_card("texture").dim == TEXTURE_DIM


@pytest.mark.parametrize("card", cards().values(), ids=lambda card: card.name)
def test_card_is_complete(card: EncoderCard) -> None:
    assert card.licence in LICENCES
    assert card.description
    assert card.citation
    assert not card.notes or card.notes.endswith(".")
    assert min(card.std) > 0
    assert bool(card.source) == bool(card.revision)
    if card.hub_id and card.revision != "main":
        assert len(card.revision) == 40
    elif card.hub_id:
        assert "No commit" in card.notes


def test_every_encoder_of_the_published_systems_is_there() -> None:
    systems = (
        "resnet18 resnet34 resnet50 resnet101 resnet152 efficientnet_b0 efficientnet_b2 efficientnet_b3 "
        "efficientnet_v2_m densenet121 convnext_tiny convnext_small convnext_large mobilenet_v1 "
        "mobilenet_v3_small mobilenet_v3_large vgg16 xception dinov2_vits14 simple_cnn lunit_resnet50_mocov2 "
        "lunit_resnet50_swav lunit_resnet50_bt lunit_vits16_dino phikon uni uni2_h prov_gigapath virchow2 "
        "h_optimus_0 h_optimus_1 ctranspath retccl kimianet texture four_block_cnn"
    )
    assert set(systems.split()) <= cards().keys()


def test_restricted_cards_are_marked() -> None:
    free = {"Apache-2.0", "BSD-3-Clause"}
    for card in cards().values():
        assert card.non_commercial == (card.licence not in free), card.name
    gated = {"uni", "uni2_h", "prov_gigapath", "virchow2", "h_optimus_0", "h_optimus_1", "kimianet"}
    assert {name for name, card in cards().items() if card.gated} == gated


def test_unknown_name_offers_the_likely_ones() -> None:
    with pytest.raises(UsageError, match=r"'resnet-50'; did you mean resnet50"):
        find_card("resnet-50")
    with pytest.raises(UsageError, match="`tilewise encoders` lists"):
        find_card("zzz")


def test_the_catalogue_imports_nothing_heavy() -> None:
    code = """
import sys
from tilewise.encoders import EncoderConfig, cards, encoder_table, find_card
EncoderConfig(), find_card("uni"), encoder_table()
print(*sorted({"torch", "timm", "torchvision", "numpy", "cv2", "openvino"} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
