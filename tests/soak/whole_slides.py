"""Whole slides for soak tests: pyramids in JPEG tiles, larger than memory should hold, of drawn tissue of a class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile

RGB = npt.NDArray[np.uint8]
TILE, MPP = 256, 0.5
FACTORS = (1, 4, 16, 64)
_CELL = 1024
_GLASS = (243, 242, 244)


def draw_tissue(seed: int, *, is_dense: bool) -> RGB:
    """A cell of stained tissue, uint8 (1024, 1024, 3): nuclei on a ground, small and many or large and few."""
    rng = np.random.default_rng(seed)
    ground = cv2.GaussianBlur(rng.normal(size=(_CELL, _CELL)).astype(np.float32), (0, 0), 6.0)
    ground = (ground / np.abs(ground).max() * 14)[..., np.newaxis]
    picture = (np.array([226, 172, 200], np.float32) + rng.normal(0, 4, 3) + ground).clip(0, 255).astype(np.uint8)
    num, radius = (2600, 6) if is_dense else (500, 11)
    for x, y in rng.integers(0, _CELL, (num, 2)).tolist():
        axes = tuple((radius * rng.uniform(0.7, 1.3, 2)).astype(int).tolist())
        colour = tuple((np.array([88, 62, 138]) + rng.normal(0, 10, 3)).clip(0, 255).tolist())
        cv2.ellipse(picture, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    noisy: RGB = (picture + rng.normal(0, 3, picture.shape)).clip(0, 255).astype(np.uint8)
    return noisy


def write_whole_slide(path: Path, side: int, cell: RGB, *, num_lobes: int) -> Path:
    """Tissue of so many lobes on glass, at levels reduced by 1, 4, 16 and 64; one tile in memory at a time.

    Slides of one outline are neighbouring sections to the audit, which groups them.
    """
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for factor in FACTORS:
            length = -(-side // factor)
            file.write(
                _tiles(side, factor, cell, num_lobes),
                shape=(length, length, 3),
                dtype=np.uint8,
                tile=(TILE, TILE),
                photometric="ycbcr",
                subsampling=(2, 2),
                compression="jpeg",
                resolution=(1e4 / (MPP * factor),) * 2,
                resolutionunit="centimeter",
                subfiletype=int(factor > 1),
                metadata=None,
            )
    return path


def _tiles(side: int, factor: int, cell: RGB, num_lobes: int) -> Iterator[bytes]:
    """JPEG tiles of a level, row by row; the tissue repeats itself, so that each of its tiles is encoded once."""
    small = cv2.resize(cell, (_CELL // factor,) * 2, interpolation=cv2.INTER_AREA)
    texture = np.tile(small, (max(1, TILE * factor // _CELL),) * 2 + (1,))
    repeats, num = len(texture) // TILE, -(-side // (factor * TILE))
    encoded = [
        [_encode(texture[TILE * y : TILE * (y + 1), TILE * x : TILE * (x + 1)]) for x in range(repeats)]
        for y in range(repeats)
    ]
    glass = _encode(np.full((TILE, TILE, 3), _GLASS, dtype=np.uint8))
    for y in range(num):
        for x in range(num):
            across, down = (x + 0.5) / num - 0.5, (y + 0.5) / num - 0.5
            reach = 0.3 + 0.12 * np.sin(num_lobes * np.arctan2(down, across) + num_lobes)
            yield encoded[y % repeats][x % repeats] if np.hypot(across, down) < reach else glass


def _encode(rgb: RGB) -> bytes:
    return bytes(imagecodecs.jpeg_encode(np.ascontiguousarray(rgb), level=80, colorspace="RGB", subsampling="420"))
