"""BMP: header, imagecodecs for plain 24-bit files and Pillow for the other kinds."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Final

import imagecodecs
import numpy as np
from PIL import BmpImagePlugin

from tilewise.slides.header import Buffer, SlideHeader, make_header, plausible_mpp
from tilewise.slides.samples import Kind, Samples
from tilewise.units import Size

_FILE_HEADER_BYTES: Final = 14
_UNCOMPRESSED: Final = frozenset({0, 3, 6})
_KINDS: Final[dict[str, Kind]] = {"L": "grey", "RGB": "rgb", "RGBA": "rgba"}


@dataclass(frozen=True)
class _Bitmap:
    size: Size
    bits: int
    compression: int
    mpp: float | None


def read_bmp_header(data: Buffer) -> SlideHeader:
    """Read the file header and the bitmap header (OS/2 1.x, or Windows 3 and later).

    Raises:
        ValueError: they are damaged, or the file is shorter than they say.
    """
    bitmap = _bitmap(data)
    mode = "palette" if bitmap.bits <= 8 else "rgb"
    return make_header(format="BMP", stored_size=bitmap.size, mode=mode, bits=min(bitmap.bits, 8), mpp=bitmap.mpp)


def decode_bmp(data: bytes) -> Samples:
    """Decode a BMP file; palettes are looked up.

    Raises:
        ValueError: the file is damaged or broken off.
    """
    bitmap = _bitmap(data)
    if bitmap.bits == 24 and bitmap.compression == 0:
        return Samples(imagecodecs.bmp_decode(data), "rgb", 255)
    # The plugin itself, because Image.open has a pixel limit of its own, which is global.
    with BmpImagePlugin.BmpImageFile(io.BytesIO(data)) as image:
        mode = {"1": "L", "P": "RGB"}.get(image.mode, image.mode)
        if mode not in _KINDS:
            raise ValueError(f"its pixels are of Pillow's mode {mode}, which no slide has")
        pixels = np.asarray(image.convert(mode) if mode != image.mode else image)
    return Samples(pixels, _KINDS[mode], 255, notes=("palette looked up",) if bitmap.bits <= 8 else ())


def _bitmap(data: Buffer) -> _Bitmap:
    head = data[: _FILE_HEADER_BYTES + 40]
    pixels_start, header_bytes = struct.unpack_from("<II", head.ljust(18, b"\0"), 10)
    if len(head) < _FILE_HEADER_BYTES + min(max(header_bytes, 12), 40):
        raise ValueError("it is broken off before its header ends")
    compression, mpp = 0, None
    if header_bytes == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", head, 18)
    elif header_bytes >= 40:
        width, height, _, bits, compression, _, per_metre_x, per_metre_y = struct.unpack_from("<iiHHIIii", head, 18)
        if per_metre_x > 0 and per_metre_y > 0:
            mpp = plausible_mpp(1e6 / per_metre_x, 1e6 / per_metre_y)
    else:
        raise ValueError(f"its bitmap header of {header_bytes} bytes is of no known kind")
    height = abs(height)  # negative: rows are stored from the top
    expected = pixels_start + (width * bits + 31) // 32 * 4 * height
    if compression in _UNCOMPRESSED and len(data) < expected:
        raise ValueError(f"it is broken off: {len(data)} of {expected} bytes")
    return _Bitmap(Size(width, height), bits, compression, mpp)
