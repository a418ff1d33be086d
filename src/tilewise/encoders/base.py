"""What an encoder is to everything that uses one."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from tilewise.encoders.card import EncoderCard
from tilewise.errors import UsageError

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

    @property
    def num_threads(self) -> int:
        """Processors that `encode` takes."""

    def encode(self, tiles_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Features of shape (N, dim), row by row a function of the tile alone.

        Args:
            tiles_NHWC: uint8 RGB of shape (N, H, W, 3), any H and W; resizing and normalisation happen inside.
        """


def require_signature(encoder: Encoder, signature: Mapping[str, Any]) -> None:
    """Find out whether an encoder computes here what it computed in another process, perhaps of another machine.

    Raises:
        UsageError: it would compute other bytes.
    """
    for name, value in signature.items():
        here = encoder.signature.get(name)
        if here != value:
            raise UsageError(
                f"encoder {encoder.card.name} would compute other features on {platform.node()} than where it was "
                f"built ({name} is {here} and was {value}); use machines that are alike"
            )


Build = Callable[[], Encoder]


def rebuild(build: Build, signature: Mapping[str, Any]) -> Encoder:
    """An encoder in another process, where it must have this signature: engines cannot be pickled.

    Raises:
        UsageError: it would compute other bytes here.
    """
    import numpy as np

    encoder = build()
    require_signature(encoder, signature)
    encoder.encode(np.zeros((1, 64, 64, 3), np.uint8))  # makes its engine, which is no slide's time
    return encoder
