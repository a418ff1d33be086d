"""One strip or tile of a TIFF page, decoded to the colours that compression and photometric tag say it has."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tilewise.slides.codestream import read_codestream
from tilewise.slides.jpeg import read_jpeg_header
from tilewise.slides.jpeg_scan import scan_fault
from tilewise.slides.jpeg_stream import read_stream
from tilewise.slides.tiff_colours import JPEG_2000, decodes_to_ycbcr, rgb_from_ycbcr
from tilewise.units import Size

_JPEG: Final = frozenset({6, 7})
_JPEG_START: Final = b"\xff\xd8"
_JPEG_END: Final = b"\xff\xd9"
_MOST_PIXELS: Final = 64_000_000
_MOST_TIMES: Final = 4
# Encoders fill up blocks, and the last strip.
_MOST_PADDING: Final = 64


def require_segments(page: Any) -> None:
    """Refuse strips and tiles that are far larger than the picture; a decoder would set memory aside for each.

    Raises:
        ValueError: they are.
    """
    width, height = segment_size(page)
    if width * height > max(_MOST_PIXELS, _MOST_TIMES * int(page.imagewidth) * int(page.imagelength)):
        raise ValueError(
            f"it is damaged: its tiles are {width} x {height} pixels, the picture {page.imagewidth} x "
            f"{page.imagelength}"
        )


def require_fitting(page: Any, data: bytes, what: str) -> None:
    """Refuse a strip or tile that is a far larger picture by itself; its codec would decode all of that.

    Args:
        page: a `tifffile.TiffPage`.
        data: the segment's bytes.
        what: the segment is, as the message shall call it.

    Raises:
        ValueError: it is.
    """
    size = _embedded_size(page, data)
    width, height = segment_size(page)
    if size is not None and (size.width > width + _MOST_PADDING or size.height > height + _MOST_PADDING):
        raise ValueError(
            f"{what} is damaged: it is a picture of {size.width} x {size.height} pixels where {width} x {height} belong"
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
    """`require_fitting` and `require_whole` of every strip or tile of a page.

    Raises:
        ValueError: one is damaged.
    """
    if int(page.compression) in _JPEG | JPEG_2000:
        for index, (offset, count) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=False)):
            file.filehandle.seek(offset)
            data = file.filehandle.read(count)
            require_fitting(page, data, f"strip or tile {index}")
            require_whole(page, data, f"strip or tile {index}")


def decode_segment(page: Any, data: bytes, index: int) -> npt.NDArray[Any]:
    """Decode one strip or tile.

    Args:
        page: a `tifffile.TiffPage`.
        data: the segment's bytes.
        index: of the segment in the page.

    Returns:
        (depth, height, width, samples) as far as the picture reaches, YCbCr turned to RGB.

    Raises:
        ValueError: there is nothing to decode, or another picture than belongs there.
    """
    require_fitting(page, data, f"strip or tile {index}")
    decoded, _, shape = page.decode(data, index, jpegtables=page.jpegtables)
    if decoded is None:
        raise ValueError(f"segment {index} of a page is empty")
    pixels: npt.NDArray[Any] = np.asarray(decoded).reshape(shape)
    return rgb_from_ycbcr(pixels) if decodes_to_ycbcr(page, data) else pixels


def segment_size(page: Any) -> Size:
    """Width and height of a page's tiles or strips."""
    if page.is_tiled:
        return Size(int(page.tilewidth), int(page.tilelength))
    return Size(int(page.imagewidth), min(int(page.rowsperstrip), int(page.imagelength)))


def num_segments(page: Any) -> int:
    """Strips or tiles of a page, as its size asks for."""
    return math.prod(page.chunked)


def _embedded_size(page: Any, data: bytes) -> Size | None:
    """The size of the picture that a segment is for its codec; None where the codec is given the size."""
    compression = int(page.compression)
    if compression in _JPEG:
        if not data.startswith(_JPEG_START):
            return None
        stream = read_stream(data, page.jpegtables)
        return read_jpeg_header(data).stored_size if stream is None else Size(*stream.size)
    codestream = read_codestream(data) if compression in JPEG_2000 else None
    return codestream.size if codestream else None
