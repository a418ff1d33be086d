"""Is the compressed data of a JPEG whole? libjpeg goes on after an error, and its bindings swallow the warning.

Damage to Huffman codes loses or adds blocks. A segment of the data, which reaches to the next marker, then ends before
its last block, where libjpeg paints grey, or holds data beyond it, and what follows the damage is shifted. Both show
when the same segments are decoded with room for more blocks: of a whole segment, the first block beyond its end comes
out of padding, and all after that are empty. At an eighth of its size a decoder has little more to do than to read
the codes. What changes values and no number of blocks cannot be told from another picture.
"""

from __future__ import annotations

import io
import math
import re
import struct
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image, JpegImagePlugin

from tilewise.slides.jpeg_markers import END, MARKER, SCAN
from tilewise.slides.jpeg_stream import HUFFMAN, PROGRESSIVE, QUANTISATION, RESTART, JpegStream, read_stream

_RESTART_MARKER: Final = re.compile(rb"\xff+[\xd0-\xd7]")
_LONGEST_SIDE: Final = 65_500
_LONGEST_INTERVAL: Final = 65_535
_GREY: Final = 128
# Units beyond a segment's end that padding, up to 7 bits, can be read as: a unit of several components takes more bits.
_NUM_PADDED, _NUM_PADDED_ALONE, _NUM_PADDED_SCAN = 1, 2, 4
# Units beyond those, which are empty in a whole file.
_NUM_EMPTY: Final = 2
# Read as blocks where a segment ends too early; of no meaning, and without a marker.
_TAIL: Final = bytes(range(1, 251, 7)) * 2
_recent: deque[_Layout] = deque(maxlen=4)


def scan_fault(data: bytes, *, tables: bytes | None = None) -> str:
    """Say what is wrong with the compressed data of a JPEG that a decoder takes.

    Args:
        data: a whole JPEG stream, of a file or of a TIFF's tile.
        tables: a stream that holds the tables alone, as TIFF keeps them.

    Returns:
        One sentence; empty where nothing is known against it, or where its kind is not checked: arithmetic coding,
        lossless, and samples of other than 8 bits.
    """
    try:
        stream = read_stream(data, tables)
        if stream is None:
            return ""
        if stream.frame_marker == PROGRESSIVE or stream.scan[0] != len(stream.components):
            short, beyond, num = _in_many_scans(stream, data)
        else:
            short, beyond, num = _in_one_scan(stream, data)
    except (ValueError, IndexError, struct.error, OSError, SyntaxError, imagecodecs.Jpeg8Error):
        return ""  # whoever decodes it says what is wrong
    if not short and not beyond:
        return ""
    place = "" if num == 1 else f"in {max(short, beyond)} of {num} stretches "
    words = ["it ends before the picture is complete"] * bool(short) + ["it goes on beyond the picture"] * bool(beyond)
    return (
        f"its compressed data is damaged: {place}{' or '.join(words)}, so that a decoder paints grey or shifts what "
        "follows"
    )


def _in_one_scan(stream: JpegStream, data: bytes) -> tuple[int, int, int]:
    """Every segment is laid out with room for more units, in one picture of about square shape."""
    end = MARKER.search(data, stream.data_start)
    body = data[stream.data_start : len(data) if end is None else end.start()]
    parts = _RESTART_MARKER.split(body) if stream.interval else [body]
    (width, height), (across, down) = stream.size, stream.unit
    num_units = math.ceil(width / across) * math.ceil(height / down)
    in_part = stream.interval or num_units
    if len(parts) != math.ceil(num_units / in_part):
        return abs(len(parts) - math.ceil(num_units / in_part)), 0, len(parts)
    num_padded = _NUM_PADDED if len(stream.components) > 1 else _NUM_PADDED_ALONE
    layout = _layout_of(stream, len(parts), in_part + num_padded + _NUM_EMPTY)
    if layout is None:
        return 0, 0, len(parts)
    ends = np.full(len(parts), in_part)
    ends[-1] = num_units - (len(parts) - 1) * in_part
    beyond_end = np.arange(ends[-1], layout.in_part) - ends[:, np.newaxis]
    coarse = layout.stream([_unpadded(part) for part in parts], coarse=True)
    empty = (layout.units(_eighth(coarse, layout), 8)[:, ends[-1] :] == _GREY).all(axis=2)
    beyond = (~empty & (beyond_end >= num_padded)).any(axis=1)
    short = (empty & (beyond_end == 0)).any(axis=1)
    if short.any():
        # A whole segment may end on a unit of middle grey as well; then nothing that is added to it is read.
        decoded, decoded_longer = (
            layout.units(_own_pixels(_components(layout.stream(pieces), stream), stream), 1)
            for pieces in (parts, [part + _TAIL for part in parts])
        )
        before_end = np.arange(layout.in_part) < ends[:, np.newaxis]
        short &= ((decoded != decoded_longer).any(axis=2) & before_end).any(axis=1)
    return int(short.sum()), int(beyond.sum()), len(parts)


@dataclass(frozen=True)
class _Layout:
    """The segments of a stream one behind the other, each with room for `in_part` units, in a picture."""

    source: JpegStream
    num_parts: int
    in_part: int
    in_row: int
    rows: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        across, down = self.source.unit
        return self.in_row * across, self.rows * down

    @cached_property
    def _head(self) -> bytes:
        return self._head_with(self.source.quantisation)

    @cached_property
    def _coarse_head(self) -> bytes:
        """With steps of quantisation as large as they can be: a unit that is not empty is then far from grey."""
        return self._head_with([_coarsest(table) for table in self.source.quantisation])

    def _head_with(self, quantisation: list[bytes]) -> bytes:
        source = self.source
        pieces = [b"\xff\xd8", *(_segment(QUANTISATION, table) for table in quantisation)]
        pieces.append(_segment(source.frame_marker, source.frame_of(*self.size)))
        pieces += [_segment(HUFFMAN, table) for table in source.huffman]
        pieces += [_segment(RESTART, struct.pack(">H", self.in_part))] if self.num_parts > 1 else []
        return b"".join([*pieces, _segment(SCAN, source.scan)])

    def stream(self, parts: list[bytes], *, coarse: bool = False) -> bytes:
        """A JPEG of the segments."""
        pieces = [self._coarse_head if coarse else self._head]
        for number, part in enumerate(parts):
            pieces += [bytes([0xFF, 0xD0 + (number - 1) % 8])] if number else []
            pieces.append(part)
        return b"".join([*pieces, b"\xff\xd9"])

    def units(self, pixels: npt.NDArray[np.uint8], scale: int) -> npt.NDArray[np.uint8]:
        """Pixels by segment and unit, uint8 (S, U, P); they are decoded at 1 / `scale` of their size."""
        across, down = self.source.unit
        by_unit = pixels.reshape(self.rows, down // scale, self.in_row, across // scale, -1).transpose(0, 2, 1, 3, 4)
        by_unit = by_unit.reshape(self.rows * self.in_row, -1)[: self.num_parts * self.in_part]
        return by_unit.reshape(self.num_parts, self.in_part, -1)


def _layout_of(source: JpegStream, num_parts: int, in_part: int) -> _Layout | None:
    """None where a JPEG cannot be large enough; tiles of a slide have the same, as they have the same stream."""
    for layout in tuple(_recent):
        if layout.source is source and (layout.num_parts, layout.in_part) == (num_parts, in_part):
            return layout
    across, down = source.unit
    in_row = min(math.ceil(math.sqrt(num_parts * in_part)), _LONGEST_SIDE // across)
    rows = math.ceil(num_parts * in_part / in_row)
    fits = rows * down <= _LONGEST_SIDE and in_part <= _LONGEST_INTERVAL
    if not fits and num_parts > 1:
        return None
    _recent.appendleft(_Layout(source, num_parts, in_part, in_row, rows))
    return _recent[0]


def _in_many_scans(stream: JpegStream, data: bytes) -> tuple[int, int, int]:
    """The picture is decoded with rows of blocks below it, and once more with something behind each scan's data."""
    (width, height), (across, down) = stream.size, stream.unit
    if height + 3 * down > _LONGEST_SIDE:
        return 0, 0, 0
    frame_end = stream.frame_start + len(stream.frame)
    taller = data[: stream.frame_start] + stream.frame_of(width, height + 3 * down) + data[frame_end:]
    pieces = _split_behind_scans(taller, stream.data_start)
    decoded, decoded_longer = (
        _components(b"".join(tail if piece is None else piece for piece in pieces), stream) for tail in (b"", _TAIL)
    )
    bottom = math.ceil(height / down) * down
    padded = _NUM_PADDED_SCAN * across
    # Colours are smoothed over the blocks beside them.
    beyond = (decoded[bottom:, padded:, 0] != _GREY).any() or (
        decoded[bottom + down :, padded + across :] != _GREY
    ).any()
    inner = max(height - 4, 0)
    short = (decoded[:height, :, 0] != decoded_longer[:height, :, 0]).any() or (
        decoded[:inner] != decoded_longer[:inner]
    ).any()
    return int(short), int(beyond), pieces.count(None)


def _split_behind_scans(data: bytes, start: int) -> list[bytes | None]:
    """The stream in pieces, with a None behind the data of each scan."""
    pieces: list[bytes | None] = [data[:start]]
    in_scan = True
    while True:
        marker = MARKER.search(data, start)
        if marker is None:
            raise ValueError("it has no end marker")
        pieces.append(data[start : marker.start()])
        pieces += [None] if in_scan else []
        if data[marker.start() + 1] == END:
            return [*pieces, data[marker.start() :]]
        # Tables may stand between scans.
        start = marker.start() + 2 + int.from_bytes(data[marker.start() + 2 : marker.start() + 4], "big")
        pieces.append(data[marker.start() : start])
        in_scan = data[marker.start() + 1] == SCAN


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _coarsest(tables: bytes) -> bytes:
    """The same quantisation tables with 255 for every step."""
    made, start = b"", 0
    while start < len(tables):
        num_bytes = 128 if tables[start] >> 4 else 64
        made += tables[start : start + 1] + (b"\0\xff" * 64 if num_bytes == 128 else b"\xff" * 64)
        start += 1 + num_bytes
    return made


def _unpadded(part: bytes) -> bytes:
    """A segment without the fill bytes and zeros that some writers put behind it."""
    filled = part.rstrip(b"\xff")
    bare = filled.rstrip(b"\0")
    # Behind 0xFF in the data stands a 0 of its own.
    return bare + b"\0" if bare.endswith(b"\xff") and len(bare) < len(filled) else bare


def _eighth(data: bytes, layout: _Layout) -> npt.NDArray[np.uint8]:
    """Decoded at an eighth of its size, grey where that is possible; uint8 (h, w) or (h, w, C)."""
    if len(layout.source.components) in (1, 3):
        # Pillow's decoder without the reader around it, which takes half the time of a tile.
        width, height = layout.size
        picture = Image.new("L", (width // 8, height // 8))
        decoder = Image._getdecoder("L", "jpeg", ("L", ""), (8, 0))  # noqa: SLF001
        decoder.setimage(picture.im, (0, 0, *picture.size))
        if decoder.decode(data)[1] < 0:
            raise OSError("the decoder stops")
        return np.asarray(picture)
    with JpegImagePlugin.JpegImageFile(io.BytesIO(data)) as image:
        image.draft("L", (max(1, image.width // 8), max(1, image.height // 8)))
        pixels = np.asarray(image)
        return 255 - pixels if image.mode == "CMYK" else pixels  # Pillow takes every CMYK file for Adobe's


def _components(data: bytes, stream: JpegStream) -> npt.NDArray[Any]:
    """The components as they are stored, uint8 (H, W, C)."""
    space = {1: "GRAYSCALE", 3: "YCBCR", 4: "CMYK"}[len(stream.components)]
    return np.atleast_3d(imagecodecs.jpeg8_decode(data, colorspace=space, outcolorspace=space))


def _own_pixels(pixels: npt.NDArray[Any], stream: JpegStream) -> npt.NDArray[Any]:
    """With 0 for the edge of each unit in components that are enlarged: those are smoothed over the unit beside."""
    across, down = stream.unit
    for number, (own_across, own_down) in enumerate(stream.components):
        if len(stream.components) > 1 and (8 * own_across, 8 * own_down) != (across, down):
            for edge in (0, -1):
                pixels[edge % down :: down, :, number] = 0
                pixels[:, edge % across :: across, number] = 0
    return pixels
