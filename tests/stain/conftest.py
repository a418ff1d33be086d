"""Sections whose dyes are known, drawn pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest

from tilewise.slides import read_image

HAEMATOXYLIN = np.array([0.55, 0.75, 0.37])
EOSIN = np.array([0.20, 0.88, 0.43])


def unit(rows):
    rows = np.asarray(rows, float)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def draw(dyes=(HAEMATOXYLIN, EOSIN), *, glass=(240, 240, 240), amount=1.0, seed=0, noise=1.0, side=160):
    """Nuclei, stroma and mixtures of both in a disc on glass; uint8 RGB and the disc."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    tissue = (x - side / 2) ** 2 + (y - side / 2) ** 2 < (0.42 * side) ** 2
    kind = rng.random((side, side))
    amounts = np.stack(
        [
            np.where(
                kind < 0.3, rng.uniform(0.6, 2.0, kind.shape), np.where(kind < 0.6, rng.uniform(0, 1, kind.shape), 0)
            ),
            np.where(kind < 0.3, 0.0, rng.uniform(0.3, 1.2, kind.shape)),
        ],
        axis=-1,
    )
    density = amount * (amounts * tissue[..., None]) @ unit(dyes)
    light = (np.asarray(glass) + 1.0) * np.exp(-density) - 1.0 + rng.normal(0, noise, (side, side, 3))
    return np.clip(np.round(light), 0, 255).astype(np.uint8), tissue


@pytest.fixture(scope="session")
def section():
    """The function that draws a section."""
    return draw


@pytest.fixture(scope="session")
def dyes():
    """The unit vectors of the drawn sections."""
    return unit([HAEMATOXYLIN, EOSIN])


@pytest.fixture(scope="session")
def reference(data_dir):
    """A picture of the normaliser reference by name."""
    return lambda name: read_image(data_dir / "stain/normalizer_reference" / f"{name}.png")
