"""The EXIF orientation: where it is written and what it does to an array."""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tilewise.units import Size

ORIENTATIONS: Final = {
    2: "mirrored left to right",
    3: "rotated by 180 degrees",
    4: "mirrored top to bottom",
    5: "transposed",
    6: "rotated by 90 degrees clockwise",
    7: "transposed along the other diagonal",
    8: "rotated by 90 degrees counter-clockwise",
}
_TAG: Final = 0x0112


def orientation_of(exif: bytes) -> int:
    """The orientation, 1 to 8, in an EXIF block (TIFF structure, without the `Exif` prefix); 1 where there is none."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (num_entries,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(num_entries):
            tag, kind, count, value = struct.unpack_from(order + "HHIH", exif, start + 2 + 12 * entry)
            if tag == _TAG:
                return valid_orientation(value) if (kind, count) == (3, 1) else 1
    except struct.error:  # metadata cut short says nothing about the pixels
        return 1
    return 1


def valid_orientation(value: object) -> int:
    """The value where it is one of EXIF's eight, else 1."""
    return int(value) if isinstance(value, int) and value in ORIENTATIONS else 1


def orient(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Turn stored pixels the way they are meant to be seen (EXIF 2.32, tag 0x0112).

    Args:
        pixels: (H, W) or (H, W, C) as stored.
        orientation: 1 to 8.

    Returns:
        A contiguous array; height and width change places for 5 to 8.
    """
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def oriented_size(size: Size, orientation: int) -> Size:
    """The size after `orient`."""
    return Size(size.height, size.width) if orientation >= 5 else size
