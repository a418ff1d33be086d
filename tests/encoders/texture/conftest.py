"""Painted tiles with known contents."""

from collections.abc import Callable, Iterable

import numpy as np
import pytest

H_RGB = np.array([0.65, 0.70, 0.29]) / np.linalg.norm([0.65, 0.70, 0.29])
E_RGB = np.array([0.07, 0.99, 0.11]) / np.linalg.norm([0.07, 0.99, 0.11])


def stained(hematoxylin: np.ndarray, eosin: np.ndarray | float) -> np.ndarray:
    """RGB of the given densities of both dyes, by the law of Beer and Lambert."""
    density = hematoxylin[..., None] * H_RGB + np.broadcast_to(eosin, hematoxylin.shape)[..., None] * E_RGB
    return np.clip(np.rint(256 * 10.0**-density - 1), 0, 255).astype(np.uint8)


def discs(size: int, centres: Iterable[tuple[float, float]], radius: float) -> np.ndarray:
    """True inside discs round (x, y)."""
    y, x = np.mgrid[:size, :size]
    inside = np.zeros((size, size), bool)
    for cx, cy in centres:
        inside |= (x - cx) ** 2 + (y - cy) ** 2 <= radius**2
    return inside


@pytest.fixture
def stain() -> Callable[[np.ndarray, np.ndarray | float], np.ndarray]:
    return stained


@pytest.fixture
def nuclei_tile() -> Callable[..., np.ndarray]:
    """A pale pink tile with blue discs as nuclei."""

    def paint(centres: Iterable[tuple[float, float]], radius: float, *, size: int = 224) -> np.ndarray:
        return stained(np.where(discs(size, centres, radius), 0.8, 0.05), 0.2)

    return paint


@pytest.fixture
def random_tiles() -> np.ndarray:
    """Smooth random tiles in the colours of H&E, with nuclei, fibres and a corner of glass; (5, 64, 64, 3)."""
    import cv2

    rng = np.random.default_rng(7)
    tiles = []
    for _ in range(5):
        nuclei = discs(64, rng.uniform(0, 64, (12, 2)), 3.5)
        coarse = cv2.GaussianBlur(rng.normal(size=(64, 64)), (0, 0), 3) * 0.4
        tile = stained(np.where(nuclei, 0.7, 0.1) + np.maximum(coarse, 0), 0.3 + np.maximum(-coarse, 0))
        tile[:16, :20] = 240
        tiles.append(np.clip(tile + rng.normal(0, 3, tile.shape), 0, 255).astype(np.uint8))
    return np.stack(tiles)
