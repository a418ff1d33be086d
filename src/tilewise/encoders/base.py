"""What an encoder is to everything that uses one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from tilewise.encoders.card import EncoderCard

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Encoder(Protocol):
    """Tiles in, one vector per tile out; made by `build_encoder`."""

    @property
    def card(self) -> EncoderCard:
        """What the encoder is."""

    @property
    def signature(self) -> Mapping[str, Any]:
        """Everything that changes a byte of the output, as JSON data; it belongs into every cache key.

        `card` and `weights` say what is computed; the other keys say how, and change only the rounding.
        """

    def encode(self, tiles_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Features of shape (N, dim), row by row a function of the tile alone.

        Args:
            tiles_NHWC: uint8 RGB of shape (N, H, W, 3), any H and W; resizing and normalisation happen inside.
        """
