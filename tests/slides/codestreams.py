"""JPEG 2000 codestreams whose colour planes are smaller than the first plane, as Aperio writes them."""

from __future__ import annotations

import struct

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt

_SIZES, _TILE, _DATA, _END = b"\xff\x51", b"\xff\x90", b"\xff\x93", b"\xff\xd9"


def subsampled(planes: npt.NDArray[np.uint8], *, across: int, down: int) -> bytes:
    """Three planes, uint8 (H, W, 3), the second and third `across` and `down` times smaller.

    Of one resolution the packets of a codestream stand plane after plane, so that three codestreams of one plane each
    can be joined into one.
    """
    height, width = planes.shape[:2]
    small = (width // across, height // down)
    first, second, third = (np.ascontiguousarray(planes[:, :, plane]) for plane in range(3))
    parts = [first, *(cv2.resize(plane, small, interpolation=cv2.INTER_AREA) for plane in (second, third))]
    streams = [imagecodecs.jpeg2k_encode(part, codecformat="j2k", reversible=True, resolutions=1) for part in parts]
    body = b"".join(stream[stream.index(_DATA, stream.index(_TILE)) + 2 : -2] for stream in streams)
    head = streams[0][: streams[0].index(_TILE)]
    sizes = head.index(_SIZES)
    (length,) = struct.unpack_from(">H", head, sizes + 2)
    fixed = head[sizes + 4 : sizes + 38]
    components = b"".join(bytes([7, x, y]) for x, y in [(1, 1), (across, down), (across, down)])
    new_sizes = _SIZES + struct.pack(">H", 47) + fixed + struct.pack(">H", 3) + components
    head = head[:sizes] + new_sizes + head[sizes + 2 + length :]
    tile = _TILE + struct.pack(">HHIBB", 10, 0, 14 + len(body), 0, 1) + _DATA
    return head + tile + body + _END
