"""The pretrained network that is installed with tilewise, with its real weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tilewise.encoders import EncoderConfig, build_encoder, find_card
from tilewise.encoders.conversions import convert
from tilewise.encoders.locate import packaged_weights

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
