"""Images of every kind, made here so that their pixels are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

Write = Callable[..., Path]


def scene(width: int = 97, height: int = 61, *, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Smooth blobs with a little noise: compresses like tissue, and no two rows or columns are alike."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 90 * np.sin(x / a + y / b) for a, b in ((9, 14), (21, 8), (13, 33))]
    return np.clip(np.stack(planes, axis=-1) + rng.normal(0, 4, (height, width, 3)), 0, 255).astype(np.uint8)


@pytest.fixture
def rgb() -> npt.NDArray[np.uint8]:
    return scene()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(name, array or PIL image, **options of Image.save)` -> path."""

    def save(name: str, picture: npt.NDArray[np.uint8] | Image.Image, **options: object) -> Path:
        path = tmp_path / name
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        image.save(path, **options)
        return path

    return save
