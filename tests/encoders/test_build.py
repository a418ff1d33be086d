"""Config to encoder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tilewise.encoders import EncoderConfig, accept_licence, build_encoder, find_card
from tilewise.errors import EncoderUnavailable, LicenceNotAccepted, UsageError


def test_the_default_is_the_embedded_encoder() -> None:
    encoder = build_encoder(EncoderConfig(), offline=True)
    assert encoder.card == find_card("texture")


def test_random_weights_come_from_the_seed_and_need_no_licence() -> None:
    tiles = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    config = EncoderConfig(name="simple_cnn", init="random", engine="torch")
    first, again, other = (build_encoder(config, seed=seed).encode(tiles) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.isfinite(first).all()


def test_the_engine_is_made_once_and_by_the_first_tiles(monkeypatch) -> None:
    from tilewise.encoders import network_encoder

    made, build_engine = [], network_encoder.build_engine
    monkeypatch.setattr(network_encoder, "build_engine", lambda *args: made.append(args) or build_engine(*args))
    encoder = build_encoder(EncoderConfig(name="simple_cnn", init="random", engine="torch"))
    assert encoder.signature["engine"] == "torch"
    assert not made
    tiles = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    assert np.array_equal(encoder.encode(tiles), encoder.encode(tiles))
    assert len(made) == 1


def test_random_weights_leave_the_global_random_state_alone() -> None:
    import torch

    from tilewise.encoders.networks import create_network

    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    create_network(find_card("simple_cnn"), seed=0)
    assert torch.equal(torch.rand(4), expected)


def test_the_licence_comes_before_the_weights() -> None:
    config = EncoderConfig(name="uni")
    with pytest.raises(LicenceNotAccepted, match="tilewise encoders accept uni"):
        build_encoder(config, offline=True)
    accept_licence(find_card("uni"))
    with pytest.raises(EncoderUnavailable, match=r"fetch model\.safetensors"):
        build_encoder(config, offline=True)


def test_a_file_of_ones_own_does_not_pass_the_licence_by(tmp_path: Path) -> None:
    (tmp_path / "uni.bin").write_bytes(b"weights")
    with pytest.raises(LicenceNotAccepted):
        build_encoder(EncoderConfig(name="uni", weights=tmp_path / "uni.bin"))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"engine": "torch"}, r"encoder\.engine"),
        ({"precision": "float32", "batch_size": 4}, r"encoder\.precision and encoder\.batch_size"),
        ({"init": "random"}, "no weights"),
        ({"weights": Path("a.pth")}, "no weights"),
    ],
)
def test_options_the_embedded_encoder_has_no_use_for_are_refused(options, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        build_encoder(EncoderConfig(**options))


def test_an_unknown_encoder() -> None:
    with pytest.raises(UsageError, match="did you mean resnet50"):
        build_encoder(EncoderConfig(name="resnet_50"))


def test_the_embedded_encoder_needs_no_torch() -> None:
    code = """
import sys, numpy as np
from tilewise.encoders import EncoderConfig, build_encoder
build_encoder(EncoderConfig()).encode(np.zeros((1, 40, 40, 3), np.uint8))
print(*sorted({"torch", "timm", "openvino"} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
