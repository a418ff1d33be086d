"""The pretrained network that is installed with tilewise, trained further on real tiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.explain.test_grad_cam import corner_hits, squares
from tests.models.networks.made import overfit
from tilewise.encoders import EncoderConfig
from tilewise.explain.grad_cam import GradCam
from tilewise.models import HeadConfig
from tilewise.models.networks import NetworkConfig, NetworkModel, TileBatch, TileNetwork, build_network

SIDE = 64


def lite0(num_classes: int, *, init: str = "pretrained", **network: object) -> TileNetwork:
    config = NetworkConfig.model_validate({"trained": "all", "input_px": SIDE, **network})
    encoder = EncoderConfig.model_validate({"name": "efficientnet_lite0", "init": init})
    made = build_network(config, encoder, HeadConfig(), num_classes=num_classes, seed=0, offline=True)
    made.start_epoch(0)
    return made


def textures(folder: Path) -> tuple[TileBatch, torch.Tensor]:
    """Ten real tiles of each of seven tissues of the colon."""
    paths = sorted((folder / "colorectal" / "crc_val_he_7k").glob("*/*.jpg"))
    kinds = sorted({path.parent.name for path in paths})
    labels = [kinds.index(path.parent.name) for path in paths]
    pixels = [np.asarray(Image.open(path).convert("RGB").resize((SIDE, SIDE))).transpose(2, 0, 1) for path in paths]
    return TileBatch(torch.from_numpy(np.stack(pixels)[:, None])), torch.tensor(labels)


def accuracy(network: TileNetwork, batch: TileBatch, labels: torch.Tensor) -> float:
    network.eval()
    with torch.inference_mode():
        return float((network(batch).argmax(dim=1) == labels).float().mean())


@pytest.mark.soak
def test_fine_tuning_beats_training_from_scratch_on_real_tiles(data_dir: Path) -> None:
    batch, labels = textures(data_dir)
    assert labels.bincount().tolist() == [10] * 7
    taught, unknown = torch.arange(70) % 2 == 0, torch.arange(70) % 2 == 1
    scores = {}
    for init in ("pretrained", "random"):
        network = lite0(7, init=init)
        overfit(network, TileBatch(batch.images_BSCHW[taught]), labels[taught], 16, 0.002)
        scores[init] = accuracy(network, TileBatch(batch.images_BSCHW[unknown]), labels[unknown])
    assert scores["pretrained"] >= 0.6
    assert scores["pretrained"] - scores["random"] > 0.2


def test_grad_cam_of_it_falls_on_the_signal() -> None:
    network = lite0(2, trained="last", last_blocks=1, input_px=192)
    batch, labels, corners = squares(192, num=16)
    assert overfit(network, batch, labels, 30, 0.005) < 0.1
    maps = GradCam(NetworkModel.of(network.eval(), ("A", "B"))).maps(batch, 1)
    assert np.mean(corner_hits(maps, labels, corners)) >= 0.85
