"""What the pixels of a JPEG stream depend on before its data begins."""

from __future__ import annotations

import contextlib
import struct
from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from tilewise.slides.jpeg_markers import SCAN, segments

PROGRESSIVE: Final = 0xC2
QUANTISATION: Final = 0xDB
HUFFMAN: Final = 0xC4
RESTART: Final = 0xDD
_SEQUENTIAL: Final = frozenset({0xC0, 0xC1})
_BITS: Final = 8
# Tiles of a slide differ in their data alone, so that what stands before it is read once.
_recent: deque[tuple[bytes, bytes | None, JpegStream]] = deque(maxlen=4)


@dataclass
class JpegStream:
    """Tables, frame and first scan of a JPEG.

    Attributes:
        quantisation: contents of the segments with quantisation tables.
        huffman: of those with Huffman tables.
        frame_marker: how the frame is coded.
        frame: content of its segment.
        frame_start: where that stands, in bytes.
        scan: content of the first scan's segment.
        interval: units between restart markers; 0 without them.
        data_start: where the first scan's data begins, in bytes.
    """

    quantisation: list[bytes] = field(default_factory=list)
    huffman: list[bytes] = field(default_factory=list)
    frame_marker: int = 0
    frame: bytes = b""
    frame_start: int = 0
    scan: bytes = b""
    interval: int = 0
    data_start: int = 0

    @cached_property
    def components(self) -> tuple[tuple[int, int], ...]:
        """Horizontal and vertical sampling factor of each component."""
        return tuple((self.frame[7 + 3 * n] >> 4, self.frame[7 + 3 * n] & 15) for n in range(self.frame[5]))

    @cached_property
    def unit(self) -> tuple[int, int]:
        """Width and height in pixels of what is coded together."""
        if len(self.components) == 1:
            return 8, 8
        return 8 * max(across for across, _ in self.components), 8 * max(down for _, down in self.components)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = struct.unpack(">HH", self.frame[1:5])
        return width, height

    def frame_of(self, width: int, height: int) -> bytes:
        """The frame's segment with another size."""
        return self.frame[:1] + struct.pack(">HH", height, width) + self.frame[5:]


def read_stream(data: bytes, tables: bytes | None) -> JpegStream | None:
    """Read the segments of a stream, after those of its tables where they are kept apart.

    Returns:
        None where it is coded otherwise than in Huffman codes of 8-bit samples.

    Raises:
        ValueError: the segments are damaged.
    """
    for start, own_tables, known in tuple(_recent):
        if own_tables == tables and data.startswith(start):
            return known
    stream = JpegStream()
    if tables is not None:
        with contextlib.suppress(ValueError):  # raised at their end, because no scan follows
            _read_into(stream, tables)
    _read_into(stream, data)
    if not stream.frame or not stream.scan or stream.frame[0] != _BITS or 0 in stream.size:
        return None
    _recent.appendleft((bytes(data[: stream.data_start]), tables, stream))
    return stream


def _read_into(stream: JpegStream, data: bytes) -> None:
    for segment in segments(data):
        content = bytes(data[segment.start : segment.end])
        if segment.marker == QUANTISATION:
            stream.quantisation.append(content)
        elif segment.marker == HUFFMAN:
            stream.huffman.append(content)
        elif segment.marker == RESTART:
            stream.interval = int.from_bytes(content[:2], "big")
        elif segment.marker in _SEQUENTIAL or segment.marker == PROGRESSIVE:
            stream.frame_marker, stream.frame, stream.frame_start = segment.marker, content, segment.start
        elif segment.marker == SCAN:
            stream.scan, stream.data_start = content, segment.end
