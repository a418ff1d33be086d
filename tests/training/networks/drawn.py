"""Slides of tiles whose class shows in their colour or in the shape of their masks, and small networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from tilewise.encoders import find_card
from tilewise.encoders.networks import create_network
from tilewise.inference.slide_tiles import SlideTiles
from tilewise.models import HeadConfig
from tilewise.models.networks import NetworkConfig, TileNetwork
from tilewise.training.networks.data import PixelData, TilePart

CLASSES = ("A", "B")
Signal = Literal["color", "mask", "none"]


def draw_slide(
    label: int,
    rng: np.random.Generator,
    *,
    num_tiles: int = 4,
    side: int = 32,
    signal: Signal = "color",
    fields: int = 1,
    has_wide: bool = False,
) -> SlideTiles:
    """Tiles of noise about grey; class 1 is redder, or its mask is a cross instead of a disc of the same area."""
    noise = rng.integers(-30, 30, (num_tiles, fields, 3, side, side))
    ground = np.full((1, 1, 3, 1, 1), 128)
    if signal == "color":
        ground[0, 0, 0] += 25 * label
    images = (ground + noise).astype(np.uint8)
    masks = np.stack([_shape(label if signal == "mask" else 0, side, rng) for _ in range(num_tiles)])
    key = f"{int(images.sum(dtype=np.int64))} {int(masks.sum(dtype=np.int64))}"
    whole = images[0, 0].copy() if has_wide else None
    return SlideTiles(key, images, masks, whole)


def draw_data(
    num_train: int = 8, num_select: int = 4, *, seed: int = 0, **options: Any
) -> tuple[PixelData, dict[str, SlideTiles], dict[str, int]]:
    """Two parts of as many slides, classes in turn; also the slides and their classes."""
    rng = np.random.default_rng(seed)
    labels = {f"s{index:02d}": index % 2 for index in range(num_train + num_select)}
    slides = {name: draw_slide(label, rng, **options) for name, label in labels.items()}
    names = tuple(slides)
    train = TilePart.of(slides, names[:num_train], labels)
    validation = TilePart.of(slides, names[num_train:], labels)
    return PixelData(CLASSES, train, validation), slides, labels


def cnn(
    head: HeadConfig | None = None, *, side: int = 32, width: int = 32, seed: int = 0, **network: Any
) -> TileNetwork:
    """The simple CNN, small."""
    config = NetworkConfig.model_validate({"trained": "all"} | network)
    card = replace(find_card("simple_cnn"), input_px=side, dim=width, options=(("width", width),))
    mask = (card, create_network(card, seed=seed + 1)) if config.input == "dual_branch" else None
    body = (card, create_network(card, seed=seed))
    return TileNetwork(config, body, head or HeadConfig(), num_classes=2, seed=seed, mask_encoder=mask)


def _shape(label: int, side: int, rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    centre = side / 2 + rng.uniform(-0.1, 0.1, 2) * side
    x, y = x - centre[0], y - centre[1]
    radius = side * rng.uniform(0.22, 0.3)
    if not label:
        return np.where(x**2 + y**2 <= radius**2, 255, 0).astype(np.uint8)
    # Arms of such a width that the cross is as large as the disc.
    arm, reach = 0.42 * radius, 1.36 * radius
    across = (abs(x) <= reach) & (abs(y) <= arm)
    down = (abs(y) <= reach) & (abs(x) <= arm)
    return np.where(across | down, 255, 0).astype(np.uint8)
