"""The numbers of an indexed image, before its palette turns them into colours."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import BmpImagePlugin

from tilewise.errors import SlideUnreadable
from tilewise.slides.failures import slide_errors
from tilewise.slides.opening import read_header
from tilewise.slides.orientation import orient
from tilewise.slides.tiff_directory import read_page

_DEPTH_AT, _COLOR_AT, _HEAD_CHECKED, _HEAD_SUM = 24, 25, slice(12, 29), slice(29, 33)
_COLORS: Final = frozenset({b"PLTE", b"tRNS"})


def read_indices(path: Path) -> npt.NDArray[Any]:
    """Read which entry of its palette each pixel takes, rotated as EXIF says; uint8 or uint16 (H, W).

    Args:
        path: of a PNG, TIFF or BMP whose header says `palette` and that `read_samples` can read.

    Raises:
        SlideUnreadable: the file is missing or damaged, or has no palette.
    """
    header = read_header(path)
    if header.mode != "palette":
        raise SlideUnreadable(f"{path}: it has no palette but is {header.mode}; give an indexed image")
    with slide_errors(path, f"this {header.format} cannot be decoded"):
        if header.format == "PNG":
            indices = _of_png(path.read_bytes())
        elif header.format == "BMP":
            indices = _of_bmp(path.read_bytes())
        else:
            with tifffile.TiffFile(path) as file:
                indices = read_page(file, header.pages_at[0]).asarray(maxworkers=1, squeeze=False)[0, 0, :, :, 0]
        return orient(indices, header.orientation)


def _of_png(data: bytes) -> npt.NDArray[Any]:
    """Decode the PNG as if it were grey: without its palette, the numbers themselves are its values."""
    head = bytearray(data[:33])
    depth = head[_DEPTH_AT]
    head[_COLOR_AT] = 0
    head[_HEAD_SUM] = struct.pack(">I", zlib.crc32(head[_HEAD_CHECKED]))
    parts, position = [bytes(head)], len(head)
    while position + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        if kind not in _COLORS:
            parts.append(data[position : position + 12 + size])
        position += 12 + size
    values: npt.NDArray[Any] = imagecodecs.png_decode(b"".join(parts))
    # Fewer bits than 8 are spread over the range of grey.
    return values // np.uint8(255 // ((1 << depth) - 1))


def _of_bmp(data: bytes) -> npt.NDArray[Any]:
    with BmpImagePlugin.BmpImageFile(io.BytesIO(data)) as image:
        return np.asarray(image, dtype=np.uint8)
