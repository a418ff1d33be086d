"""The pretrained network that is installed with tilewise, with its real weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tilewise.compute import computes_bfloat16
from tilewise.encoders import EncoderConfig, build_encoder, find_card
from tilewise.encoders.conversions import convert
from tilewise.encoders.find_weights import packaged_weights

data = pytest.importorskip("skimage.data")

# Of ImageNet-1k: an Egyptian cat, an espresso.
IMAGES = (("chelsea", 285), ("coffee", 967))


def published_weights(name: str) -> dict[str, torch.Tensor]:
    card = find_card(name)
    path = packaged_weights(card)
    assert path is not None
    return convert(torch.load(path, weights_only=True), card.conversion)


@pytest.mark.parametrize(("image", "index"), IMAGES)
@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
def test_it_names_photographs(name: str, image: str, index: int) -> None:
    weights = published_weights(name)
    encoder = build_encoder(EncoderConfig(name=name, threads=1), offline=True)
    features_ND = encoder.encode(getattr(data, image)()[None])
    logits = features_ND @ weights["classifier.weight"].numpy().T + weights["classifier.bias"].numpy()
    assert logits.argmax() == index


def test_weights_as_the_hub_names_them_are_the_same_network(tmp_path: Path, tiles) -> None:
    """The hub's file holds timm's names."""
    weights = published_weights("efficientnet_lite0")
    save_file(
        {name: weight.contiguous() for name, weight in weights.items()}, tmp_path / "efficientnet_lite0.safetensors"
    )
    config = EncoderConfig(name="efficientnet_lite0", threads=1, batch_size=4)
    by_hand = config.model_copy(update={"weights": tmp_path / "efficientnet_lite0.safetensors"})
    installed, hub = (build_encoder(one, offline=True).encode(tiles[:4]) for one in (config, by_hand))
    assert np.array_equal(installed, hub)


@pytest.mark.parametrize("pooling", [pytest.param("last", marks=pytest.mark.soak), "stages"])
def test_engines_and_precisions_agree_on_its_features(pooling: str, tiles) -> None:
    pytest.importorskip("openvino", reason="the [fast] extra is not installed")
    base: dict[str, Any] = {"name": "efficientnet_lite0", "pooling": pooling, "threads": 1, "batch_size": 4}

    def encode(engine: str, precision: str = "float32"):
        config = EncoderConfig.model_validate({**base, "engine": engine, "precision": precision})
        return build_encoder(config, offline=True).encode(tiles)

    exact = encode("torch")
    np.testing.assert_allclose(encode("openvino"), exact, rtol=0, atol=1e-5 * np.abs(exact).max())
    # The default computes in float32 on every processor.
    assert build_encoder(EncoderConfig.model_validate(base)).signature["precision"] == "float32"
    if computes_bfloat16():
        for engine in ("torch", "openvino"):
            rounded, centred = encode(engine, "bfloat16"), exact - exact.mean(axis=0)
            rounded -= rounded.mean(axis=0)
            cosines = (rounded * centred).sum(1) / np.linalg.norm(rounded, axis=1) / np.linalg.norm(centred, axis=1)
            assert cosines.min() > (0.99 if pooling == "stages" else 0.95)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_features_of_stages_do_not_depend_on_what_stands_beside_a_tile(engine: str, tiles) -> None:
    pytest.importorskip("openvino", reason="the [fast] extra is not installed")
    options = {"name": "efficientnet_lite0", "pooling": "stages", "engine": engine, "threads": 1, "batch_size": 4}
    encoder = build_encoder(EncoderConfig.model_validate(options), offline=True)
    with torch.inference_mode():  # as some callers are
        together = encoder.encode(tiles)
    assert together.shape == (len(tiles), 672)
    order = np.random.default_rng(0).permutation(len(tiles))
    assert np.array_equal(encoder.encode(tiles[order]), together[order])
    assert np.array_equal(encoder.encode(tiles[5:6]), together[5:6])
