"""Tiles, and weights that behave like trained ones: random features of a fresh network hardly differ between tiles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tilewise.encoders import find_card

Tiles = npt.NDArray[np.uint8]


def draw_tiles(num_tiles: int, side: int = 224, *, seed: int = 0) -> Tiles:
    """Pink ground with purple nuclei, in a density, size and colour of each tile's own."""
    generator = np.random.default_rng(seed)
    tiles = np.empty((num_tiles, side, side, 3), np.uint8)
    for tile in tiles:
        coarse = generator.normal(0, generator.uniform(5, 30), (9, 9, 3)).astype(np.float32)
        ground = np.array([225, 170, 205]) + generator.normal(0, 12, 3)
        image = ground + cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
        image = np.clip(image + generator.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
        colour = (np.array([95, 60, 140]) + generator.normal(0, 20, 3)).clip(0, 255).tolist()
        for _ in range(generator.integers(5, 150)):
            x, y = generator.integers(0, side, 2).tolist()
            radius = int(generator.uniform(2, 9))
            cv2.ellipse(image, (x, y), (radius, radius + 2), float(generator.uniform(0, 180)), 0, 360, colour, -1)
        tile[:] = cv2.GaussianBlur(image, (3, 3), 0)
    return tiles


@pytest.fixture(scope="session")
def tiles() -> Tiles:
    return draw_tiles(12, seed=1)


@pytest.fixture(scope="session")
def real_tiles(data_dir: Path) -> Tiles:
    """Crops of 224 px from many sources of the real slides."""
    import pandas as pd

    table = pd.read_csv(data_dir / "tiles.csv")
    table = table[~table["file"].str.startswith("her2st")].sample(12, random_state=0)
    crops = []
    for row in table.itertuples():
        image = cv2.imread(str(data_dir / row.file), cv2.IMREAD_COLOR)
        crop = image[row.y : row.y + row.height, row.x : row.x + row.width, ::-1]
        crops.append(cv2.resize(crop, (224, 224), interpolation=cv2.INTER_AREA))
    return np.stack(crops)


@pytest.fixture(scope="session")
def realistic_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A file of weights for an encoder, made once: scaled so that signals live, BatchNorm calibrated on tiles."""
    folder = tmp_path_factory.mktemp("realistic")

    def make(name: str) -> Path:
        path = folder / f"{name}.safetensors"
        if not path.exists():
            from safetensors.torch import save_file

            save_file(_realistic(name).state_dict(), path)
        return path

    return make


def _realistic(name: str) -> Any:
    import torch
    from torch import nn

    from tilewise.encoders.networks import create_network
    from tilewise.encoders.preprocess import normalisation, resize_tiles

    card = find_card(name)
    network = create_network(card, seed=0)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                gain = 2.0 if isinstance(module, nn.Conv2d) else 1.0
                module.weight.normal_(0, (gain / module.weight[0].numel()) ** 0.5, generator=generator)
            if isinstance(getattr(module, "gamma", None), nn.Parameter):
                module.gamma.fill_(0.5)
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5, generator=generator)
            norm.bias.normal_(0, 0.2, generator=generator)
            norm.momentum = None
            norm.reset_running_stats()
            norm.train()
        # Trained residual networks add small steps; random ones of full size are chaotic, and amplify any rounding.
        for block in network.modules():
            last = getattr(block, "bn3", None) or (getattr(block, "bn2", None) if hasattr(block, "conv2") else None)
            if last is not None and hasattr(block, "downsample"):
                last.weight.uniform_(0, 0.5, generator=generator)
        mean, std = normalisation(card)
        images = (resize_tiles(draw_tiles(8, seed=7), card.input_px).astype(np.float32) - mean) / std
        if norms:
            network(torch.from_numpy(images).permute(0, 3, 1, 2))
    return network.eval()
