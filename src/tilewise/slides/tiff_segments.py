"""One strip or tile of a TIFF page, decoded to the colours that compression and photometric tag say it has."""

from __future__ import annotations

import math
import struct
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.slides.jpeg_scan import scan_fault

_YCBCR: Final = 6
_JPEG: Final = frozenset({6, 7})
_JPEG_START: Final = b"\xff\xd8"
_JPEG_END: Final = b"\xff\xd9"
# TIFF's tag 259: Aperio's JPEG 2000 is named after its colours, YCbCr or RGB; the others leave them to the photometric.
_APERIO_YCBCR, _APERIO_RGB = 33_003, 33_005
_JPEG_2000: Final = frozenset({_APERIO_YCBCR, 33_004, _APERIO_RGB, 34_712})
_CODESTREAM, _SIZES, _STYLE = b"\xff\x4f\xff\x51", 0x51, 0x52
_MOST_PIXELS: Final = 64_000_000
_MOST_TIMES: Final = 4


def require_segments(page: Any) -> None:
    """Refuse strips and tiles that are far larger than the picture; a decoder would set memory aside for each.

    Raises:
        ValueError: they are.
    """
    width, height = (page.tilewidth, page.tilelength) if page.is_tiled else (page.imagewidth, page.rowsperstrip)
    area = int(width) * min(int(height), int(page.imagelength) if not page.is_tiled else int(height))
    if area > max(_MOST_PIXELS, _MOST_TIMES * int(page.imagewidth) * int(page.imagelength)):
        raise ValueError(
            f"it is damaged: its tiles are {width} x {height} pixels, the picture {page.imagewidth} x "
            f"{page.imagelength}"
        )


def require_whole(page: Any, data: bytes, what: str) -> None:
    """Refuse a strip or tile in JPEG that is damaged; other codecs notice it themselves, or have no means to.

    Args:
        page: a `tifffile.TiffPage`.
        data: the segment's bytes.
        what: the segment is, as the message shall call it.

    Raises:
        ValueError: it is damaged.
    """
    if int(page.compression) not in _JPEG or not data.startswith(_JPEG_START):
        return
    if not data.rstrip(b"\0").endswith(_JPEG_END):
        raise ValueError(f"{what} is broken off")
    fault = scan_fault(data, tables=page.jpegtables)
    if fault:
        raise ValueError(f"{what} is damaged: {fault}")


def require_whole_segments(file: Any, page: Any) -> None:
    """`require_whole` of every strip or tile of a page.

    Raises:
        ValueError: one is damaged.
    """
    if int(page.compression) in _JPEG:
        for index, (offset, count) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=False)):
            file.filehandle.seek(offset)
            require_whole(page, file.filehandle.read(count), f"strip or tile {index}")


def decode_segment(page: Any, data: bytes, index: int) -> npt.NDArray[Any]:
    """Decode one strip or tile.

    Args:
        page: a `tifffile.TiffPage`.
        data: the segment's bytes.
        index: of the segment in the page.

    Returns:
        (depth, height, width, samples) as far as the picture reaches, YCbCr turned to RGB.

    Raises:
        ValueError: there is nothing to decode.
    """
    decoded, _, shape = page.decode(data, index, jpegtables=page.jpegtables)
    if decoded is None:
        raise ValueError(f"segment {index} of a page is empty")
    pixels: npt.NDArray[Any] = np.asarray(decoded).reshape(shape)
    return rgb_from_ycbcr(pixels) if is_left_ycbcr(page, data) else pixels


def is_left_ycbcr(page: Any, data: bytes) -> bool:
    """Whether what tifffile decodes from a segment of this page is YCbCr still.

    Only JPEG 2000 is left so: its codestream does not name its colours, unless their planes are of different sizes or
    are mixed by the codec itself, in which cases the decoder has undone it. Aperio's 33003 is YCbCr whatever the
    photometric tag says, and 33005 never is.
    """
    compression = int(page.compression)
    if compression not in _JPEG_2000 or compression == _APERIO_RGB or page.samplesperpixel < 3:
        return False
    is_even, is_mixed = _codestream(data)
    if not is_even:
        return False
    return compression == _APERIO_YCBCR or (int(page.photometric) == _YCBCR and not is_mixed)


def rgb_from_ycbcr(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Full-range YCbCr (of JFIF) to RGB; (..., 3), uint8 or uint16."""
    shape = pixels.shape
    swapped = np.ascontiguousarray(pixels.reshape(-1, shape[-2], shape[-1])[:, :, [0, 2, 1]])
    converted: npt.NDArray[Any] = cv2.cvtColor(swapped, cv2.COLOR_YCrCb2RGB)
    return converted.reshape(shape)


def num_segments(page: Any) -> int:
    """Strips or tiles of a page, as its size asks for."""
    return math.prod(page.chunked)


def _codestream(data: bytes) -> tuple[bool, bool]:
    """Whether the components of a JPEG 2000 codestream are of one size, and whether they are mixed (MCT)."""
    place = data.find(_CODESTREAM)
    if place < 0:
        return True, False
    place += 2
    is_even, is_mixed = True, False
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, (length,) = data[place + 1], struct.unpack(">H", data[place + 2 : place + 4])
        body = data[place + 4 : place + 2 + length]
        if marker == _SIZES and len(body) >= 36:
            is_even = len({body[start + 1 : start + 3] for start in range(36, len(body) - 2, 3)}) <= 1
        elif marker == _STYLE and len(body) >= 5:
            return is_even, body[4] == 1
        place += 2 + length
    return is_even, is_mixed
