"""Tiles to texture vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from tilewise.encoders.texture import colour, cooccurrence, granulometry, lbp, multiscale, nuclei, orientation
from tilewise.encoders.texture.planes import Planes, Values, separate

VERSION: Final = 1
"""Raised whenever the same pixels would give other numbers."""

SMALLEST_PX: Final = 32

# Tiles go through one block after the other in chunks: the code of a block stays warm, and its last few operations on
# small arrays are done for all tiles at once.
_CHUNK: Final = 16

_BLOCKS: Final[tuple[Callable[[Sequence[Planes]], Values], ...]] = (
    colour.colour,
    lbp.lbp,
    cooccurrence.cooccurrence,
    multiscale.multiscale,
    granulometry.granulometry,
    orientation.orientation,
    nuclei.nuclei,
)
_NAMES: Final = (
    *colour.NAMES,
    *lbp.NAMES,
    *cooccurrence.NAMES,
    *multiscale.NAMES,
    *granulometry.NAMES,
    *orientation.NAMES,
    *nuclei.NAMES,
)
TEXTURE_DIM: Final = len(_NAMES)


def feature_names() -> tuple[str, ...]:
    """The name of every feature, in the order of the vector: `block.what.how`; distances in px of the tile."""
    return _NAMES


def texture_features(tiles_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Describe H&E tiles by colour, texture and nuclei: a pure function of each tile's pixels.

    Runs in the calling thread. Its many short calls into OpenCV and NumPy hand the interpreter lock to and fro, so
    threads slow each other down; processes, one per core, are how to encode on several cores.

    Args:
        tiles_NHWC: uint8 RGB tiles of shape (N, H, W, 3), H and W at least 32 px; 224 is the size meant.

    Returns:
        float32 of shape (N, TEXTURE_DIM), every value finite; the columns are `feature_names()`. A tile's row does not
        depend on the other tiles, to the last bit.

    Raises:
        ValueError: the array is not what is described above; the message says what it is.
    """
    _check(tiles_NHWC)
    features_ND = np.empty((len(tiles_NHWC), TEXTURE_DIM), np.float32)
    for start in range(0, len(tiles_NHWC), _CHUNK):
        tiles = [separate(tile) for tile in tiles_NHWC[start : start + _CHUNK]]
        features_ND[start : start + _CHUNK] = np.hstack([block(tiles) for block in _BLOCKS])
    return features_ND


def _check(tiles_NHWC: npt.NDArray[np.uint8]) -> None:
    if tiles_NHWC.dtype != np.uint8 or tiles_NHWC.ndim != 4 or tiles_NHWC.shape[3] != 3:
        raise ValueError(f"texture needs uint8 tiles of shape (N, H, W, 3), got {tiles_NHWC.dtype} {tiles_NHWC.shape}")
    if min(tiles_NHWC.shape[1:3]) < SMALLEST_PX:
        height, width = tiles_NHWC.shape[1:3]
        raise ValueError(
            f"texture needs tiles of at least {SMALLEST_PX} px a side, got {width} x {height}; resize them"
        )
