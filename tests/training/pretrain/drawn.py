"""Slides of tiles of two textures whose brightness says nothing, and a store with slides that must not be asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from tilewise.inference.slide_tiles import SlideTiles
from tilewise.training.pretrain import PretrainConfig
from tilewise.training_config.training import TrainingConfig

FAST: dict[str, Any] = {
    "input": "tiles",
    "epochs": 1,
    "num_threads": 1,
    "engine": {"device": "cpu"},
}


def draw_texture(kind: int, rng: np.random.Generator, side: int = 32) -> np.ndarray:
    """One tile, uint8 (3, side, side): fine or coarse specks, of any brightness and contrast."""
    noise = cv2.GaussianBlur(rng.normal(size=(side, side)), (0, 0), (0.8, 1.6)[kind])
    pattern = (noise - noise.mean()) / noise.std()
    tile = rng.uniform(80, 180) + rng.uniform(10, 40) * pattern + rng.normal(scale=2, size=(3, side, side))
    return tile.clip(0, 255).astype(np.uint8)


def draw_tiles(kind: int, rng: np.random.Generator, num_tiles: int = 6, **parts: Any) -> SlideTiles:
    """The tiles of one slide."""
    images = np.stack([draw_texture(kind, rng) for _ in range(num_tiles)])[:, None]
    return SlideTiles(str(int(images.sum(dtype=np.int64))), images, **parts)


class Tiles(dict[str, SlideTiles]):
    """Slides in memory; those of `forbidden` must not be asked for."""

    forbidden: frozenset[str] = frozenset()

    def __getitem__(self, slide_id: str) -> SlideTiles:
        self._check(slide_id)
        return super().__getitem__(slide_id)

    def __contains__(self, slide_id: object) -> bool:
        self._check(slide_id)
        return super().__contains__(slide_id)

    def key(self, slide_id: str) -> str:
        return self[slide_id].key

    def source(self, slide_id: str) -> SimpleNamespace:
        """Tiles in memory are never drawn anew."""
        self._check(slide_id)
        return SimpleNamespace(tile_config=None)

    def _check(self, slide_id: object) -> None:
        if slide_id in self.forbidden:
            raise AssertionError(f"{slide_id} was asked for")


def draw_slides(num_slides: int = 8, *, seed: int = 0, **options: Any) -> Tiles:
    """Slides of both textures in turn."""
    rng = np.random.default_rng(seed)
    return Tiles({f"s{number:02d}": draw_tiles(number % 2, rng, **options) for number in range(num_slides)})


def training(**changes: Any) -> TrainingConfig:
    """On one thread of the processor."""
    return TrainingConfig.model_validate(FAST | changes)


def simclr(**changes: Any) -> PretrainConfig:
    """Short pretraining."""
    return PretrainConfig.model_validate({"method": "simclr", "epochs": 3, "batch_size": 16} | changes)
