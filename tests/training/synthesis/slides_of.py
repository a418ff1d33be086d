"""Slides whose class shows in the texture inside their masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilewise.inference.slide_tiles import SlideTiles
from tilewise.training.networks.data import TilePart
from tilewise.training.synthesis.generator import Example

SIDE = 48
CLASSES = ("A", "B", "C")


def example(name: str, rng: np.random.Generator, *, level: float = 120.0, spread: float = 20.0) -> Example:
    """Noise of a level and spread inside an ellipse, bright ground of its own around it."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    turn = rng.uniform(0, np.pi)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    inside = (along / (SIDE * rng.uniform(0.38, 0.45))) ** 2 + (across / (SIDE * rng.uniform(0.24, 0.34))) ** 2 <= 1
    ground = rng.normal(220, 8, (3, SIDE, SIDE))
    texture = rng.normal(level, spread, (3, SIDE, SIDE))
    image = np.where(inside, texture, ground).clip(0, 255).astype(np.uint8)
    return Example(name, image, np.where(inside, 255, 0).astype(np.uint8))


def draw(
    classes: str, *, num_tiles: Sequence[int] | int = 2, seed: int = 0, whole: str = ""
) -> tuple[dict[str, SlideTiles], dict[str, int]]:
    """Slides `s0`, `s1` ... of these classes, and their labels; those of the classes `whole` are all region."""
    rng = np.random.default_rng(seed)
    slides, labels = {}, {}
    for number, label in enumerate(classes):
        count = num_tiles if isinstance(num_tiles, int) else num_tiles[number]
        drawn = [example(f"s{number}", rng, level=90 + 30 * CLASSES.index(label)) for _ in range(count)]
        masks = np.stack([one.mask_HW for one in drawn])
        if label in whole:
            masks[:] = 255
        images = np.stack([one.image_CHW for one in drawn])[:, None]
        slides[f"s{number}"] = SlideTiles(f"key {number}", images, masks)
        labels[f"s{number}"] = CLASSES.index(label)
    return slides, labels


def part_of(slides: dict[str, SlideTiles], labels: dict[str, int]) -> TilePart:
    """All of them, as a train part."""
    return TilePart.of(slides, slides, labels)
