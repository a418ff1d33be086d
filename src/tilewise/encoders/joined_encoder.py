"""A network's features with the embedded texture description beside them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewise.encoders.base import Encoder


class JoinedEncoder:
    """The features of two encoders of the same tiles, side by side.

    What a network learnt from photographs and what `texture` measures of colour and structure go wrong on different
    slides.

    Args:
        first: its card names the whole.
        second: whose features come after.
    """

    def __init__(self, first: Encoder, second: Encoder) -> None:
        self._first, self._second = first, second
        self.card = replace(first.card, dim=first.card.dim + second.card.dim)

    @property
    def signature(self) -> dict[str, Any]:
        """Everything that changes a byte of the output; see `Encoder`."""
        return {**self._first.signature, self._second.card.name: dict(self._second.signature)}

    @property
    def num_threads(self) -> int:
        """See `Encoder`."""
        return max(self._first.num_threads, self._second.num_threads)

    def encode(self, tiles_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Features of shape (N, dim), row by row a function of the tile alone."""
        return np.concatenate([self._first.encode(tiles_NHWC), self._second.encode(tiles_NHWC)], axis=1)
