"""The embedded features as an encoder."""

from __future__ import annotations

import logging
import weakref
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.compute import default_threads, instruction_set
from tilewise.encoders.base import require_signature
from tilewise.encoders.card import EncoderCard
from tilewise.encoders.preprocess import check_tiles, resize_tiles
from tilewise.encoders.texture import TEXTURE_DIM, VERSION, texture_features
from tilewise.execution import WorkerPool

_log = logging.getLogger(__name__)

# Tiles per job: enough to be worth sending to a process, few enough to keep every process busy to the end.
_JOB: Final = 32
# Below this many tiles, processes would take longer to start than the work itself.
_FEW: Final = 256
# The widest neighbourhood of the features.
_SMALLEST_PX: Final = 32


class TextureEncoder:
    """Describes tiles as they are, down to 32 px a side; larger ones than the card's size are averaged to it first.

    Small tiles are not enlarged: interpolation would smooth the fine texture that the features measure, at the cost of
    more pixels. Needs no weights.

    Many tiles are described in several processes, which stay for the next call: the features are made of many short
    calls, between which threads would wait for each other.
    """

    def __init__(self, card: EncoderCard, *, threads: int | None = None) -> None:
        self.card = card
        self._workers = threads or default_threads()
        self._pool: WorkerPool | None = None

    @property
    def signature(self) -> dict[str, Any]:
        """Everything that changes a byte of the output; the number of processes does not."""
        return {
            "card": f"texture {_SMALLEST_PX} to {self.card.input_px} px",
            "weights": f"none, version {VERSION}",
            "engine": "texture",
            "library": f"opencv {cv2.__version__}, numpy {np.__version__}",
            "instructions": instruction_set(),
        }

    @property
    def num_threads(self) -> int:
        """See `Encoder`."""
        return self._workers

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_pool": None, "signature": self.signature}

    def __setstate__(self, state: dict[str, Any]) -> None:
        signature = state.pop("signature")
        vars(self).update(state)
        require_signature(self, signature)

    def encode(self, tiles_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Features of shape (N, dim), row by row a function of the tile alone."""
        check_tiles(tiles_NHWC)
        if self._workers > 1 and (self._pool is not None or len(tiles_NHWC) >= _FEW):
            try:
                return self._encode_in_processes(tiles_NHWC)
            except BrokenProcessPool:
                self._pool = None
                _log.warning("a process that described tiles died (out of memory?); going on in one process")
        return _describe(tiles_NHWC, self.card.input_px)

    def _encode_in_processes(self, tiles_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        if self._pool is None:
            self._pool = WorkerPool(self._workers)
            weakref.finalize(self, self._pool.shutdown)
        parts = [tiles_NHWC[start : start + _JOB] for start in range(0, len(tiles_NHWC), _JOB)]
        features = self._pool.map(_describe, parts, [self.card.input_px] * len(parts))
        return np.concatenate([np.empty((0, TEXTURE_DIM), np.float32), *features])


def _describe(tiles_NHWC: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.float32]:
    if not len(tiles_NHWC):
        return np.empty((0, TEXTURE_DIM), np.float32)
    height, width = tiles_NHWC.shape[1:3]
    if max(height, width) > side:
        tiles_NHWC = resize_tiles(tiles_NHWC, side)
    elif min(height, width) < _SMALLEST_PX:
        tiles_NHWC = resize_tiles(tiles_NHWC, max(height, width, _SMALLEST_PX))
    return texture_features(tiles_NHWC)
