"""Weights from files: what is read, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tilewise.encoders import find_card
from tilewise.encoders.load_weights import load_weights
from tilewise.encoders.networks import create_network
from tilewise.errors import EncoderUnavailable

CARD = find_card("resnet18")


@pytest.fixture(scope="module")
def source() -> dict[str, torch.Tensor]:
    return create_network(CARD, seed=5).state_dict()


def equal(network: torch.nn.Module, state: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_safetensors(source, tmp_path: Path) -> None:
    save_file(source, tmp_path / "a.safetensors")
    network = create_network(CARD, seed=0)
    assert not equal(network, source)
    load_weights(network, CARD, tmp_path / "a.safetensors")
    assert equal(network, source)


@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny", "lunit_vits16_dino", "simple_cnn"])
def test_a_network_that_was_not_drawn_is_the_one_whose_weights_it_is_given(name: str) -> None:
    card = find_card(name)
    drawn, undrawn = create_network(card, seed=5), create_network(card, seed=None)
    undrawn.load_state_dict(drawn.state_dict())
    images_BCHW = torch.rand(1, 3, card.input_px, card.input_px, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(undrawn(images_BCHW), drawn(images_BCHW))


def test_safetensors_under_another_suffix(source, tmp_path: Path) -> None:
    save_file(source, tmp_path / "a.bin")
    network = create_network(CARD, seed=0)
    load_weights(network, CARD, tmp_path / "a.bin")
    assert equal(network, source)


@pytest.mark.parametrize("legacy", [False, True])
def test_state_dict_with_prefix_wrapper_and_classifier(source, tmp_path: Path, legacy: bool) -> None:
    state = {f"module.backbone.{name}": value for name, value in source.items()}
    state |= {"module.backbone.fc.weight": torch.zeros(1000, 512), "module.backbone.fc.bias": torch.zeros(1000)}
    state |= {"module.projector.0.weight": torch.zeros(128, 512)}
    checkpoint = {"epoch": 200, "state_dict": state, "optimizer": {"lr": 0.1}}
    torch.save(checkpoint, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    network = create_network(CARD, seed=0)
    load_weights(network, CARD, tmp_path / "a.pth")
    assert equal(network, source)


def test_step_counters_of_batch_norm_may_be_missing(source, tmp_path: Path) -> None:
    old = {name: value for name, value in source.items() if not name.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "a.pth")
    load_weights(create_network(CARD, seed=0), CARD, tmp_path / "a.pth")


def test_missing_weights_are_named(source, tmp_path: Path) -> None:
    less = {name: value for name, value in source.items() if name not in ("conv1.weight", "layer4.1.bn2.bias")}
    torch.save(less, tmp_path / "a.pth")
    with pytest.raises(EncoderUnavailable, match=r"2 missing: conv1\.weight, layer4\.1\.bn2\.bias\."):
        load_weights(create_network(CARD, seed=0), CARD, tmp_path / "a.pth")


def test_a_deeper_network_of_the_same_kind_is_refused(tmp_path: Path) -> None:
    torch.save(create_network(find_card("resnet34"), seed=0).state_dict(), tmp_path / "a.pth")
    with pytest.raises(EncoderUnavailable, match=r"unexpected: layer1\.2\.bn1\.bias"):
        load_weights(create_network(CARD, seed=0), CARD, tmp_path / "a.pth")


def test_other_shapes_are_named(source, tmp_path: Path) -> None:
    torch.save(source | {"conv1.weight": torch.zeros(64, 4, 7, 7)}, tmp_path / "a.pth")
    with pytest.raises(EncoderUnavailable, match=r"conv1\.weight \(64, 4, 7, 7\) instead of \(64, 3, 7, 7\)"):
        load_weights(create_network(CARD, seed=0), CARD, tmp_path / "a.pth")


class Planted:
    """What a hostile file would hold: unpickling it runs a command."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_nothing_is_ever_unpickled(source, tmp_path: Path, how: str) -> None:
    path, target = tmp_path / "a.pth", tmp_path / "executed"
    content = {"state_dict": source, "args": Planted(target)}
    if how == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(EncoderUnavailable, match="safetensors"):
        load_weights(create_network(CARD, seed=0), CARD, path)
    assert not target.exists()


@pytest.mark.parametrize("content", [b"", b"<html>you have to log in</html>", b"\x00" * 400])
def test_what_is_no_weights_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(EncoderUnavailable, match=r"encoder resnet18: .*a\.pth"):
        load_weights(create_network(CARD, seed=0), CARD, tmp_path / "a.pth")


def test_a_file_without_weights(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "a.pth")
    with pytest.raises(EncoderUnavailable, match="holds no weights"):
        load_weights(create_network(CARD, seed=0), CARD, tmp_path / "a.pth")


def test_position_embeddings_are_resampled_to_the_cards_size(tmp_path: Path) -> None:
    card = find_card("dinov2_vits14")
    state = create_network(card, seed=0).state_dict() | {"pos_embed": torch.randn(1, 1 + 37**2, 384)}
    torch.save(state, tmp_path / "a.pth")
    network = create_network(card, seed=1)
    load_weights(network, card, tmp_path / "a.pth")
    assert network.state_dict()["pos_embed"].shape == (1, 1 + 16**2, 384)


def test_class_and_mean_pooling_loads_the_network_inside(tmp_path: Path) -> None:
    from dataclasses import replace

    card = replace(find_card("lunit_vits16_dino"), pooling="class_and_mean", dim=768)
    inside = create_network(find_card("lunit_vits16_dino"), seed=3)
    torch.save(inside.state_dict(), tmp_path / "a.pth")
    network = create_network(card, seed=0)
    load_weights(network, card, tmp_path / "a.pth")
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features, tokens = network(images), inside.forward_features(images)
    assert torch.equal(features[:, :384], tokens[:, 0])
    assert torch.allclose(features[:, 384:], tokens[:, 1:].mean(1))


def test_a_damaged_number_in_a_state_dict_is_noticed(source, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save(source, path)
    data = bytearray(path.read_bytes())
    data[data.index(source["conv1.weight"].numpy().tobytes()) + 400] ^= 1
    path.write_bytes(data)
    with pytest.raises(EncoderUnavailable, match=r"a\.pth is no weights file .*is damaged"):
        load_weights(create_network(CARD, seed=0), CARD, path)
