"""What the header of a JPEG 2000 codestream says, without decoding it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from tilewise.units import Size

_START: Final = b"\xff\x4f\xff\x51"
_SIZES, _STYLE = 0x51, 0x52


@dataclass(frozen=True)
class Codestream:
    """What a codestream holds.

    Attributes:
        size: of the picture.
        is_even: whether its components are of one size.
        is_mixed: whether they are mixed by the codec (MCT), which the decoder undoes.
    """

    size: Size
    is_even: bool
    is_mixed: bool


def read_codestream(data: bytes) -> Codestream | None:
    """Read the header of a codestream, alone or in a JP2 container; None where there is none."""
    place = data.find(_START)
    if place < 0:
        return None
    place += 2
    size, is_even = Size(0, 0), True
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, (length,) = data[place + 1], struct.unpack(">H", data[place + 2 : place + 4])
        body = data[place + 4 : place + 2 + length]
        if marker == _SIZES and len(body) >= 36:
            right, bottom, left, top = struct.unpack(">4I", body[2:18])
            size = Size(right - left, bottom - top)
            is_even = len({body[start + 1 : start + 3] for start in range(36, len(body) - 2, 3)}) <= 1
        elif marker == _STYLE and len(body) >= 5:
            return Codestream(size, is_even, body[4] == 1)
        place += 2 + length
    return None
