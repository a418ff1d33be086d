"""PNG: chunks, header, and a decoder faster than libpng alone.

The specification is W3C PNG (third edition). libdeflate inflates about twice as fast as the zlib inside PNG libraries
but cannot be plugged into them. So the image data is inflated here. Row filters that are plain sums are undone here too
(`png_rows`); otherwise the data is wrapped again in stored (uncompressed) blocks and given to libspng, which has only
the filters left to undo. The pixels are the same; `benchmarks/decode.py` says what it gains.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

import imagecodecs
import numpy as np
import numpy.typing as npt

from tilewise.slides.header import OMITTED, Buffer, SlideHeader, make_header, plausible_mpp
from tilewise.slides.orientation import orientation_of
from tilewise.slides.png_rows import unfilter
from tilewise.slides.samples import Kind, Samples
from tilewise.units import Size

_SIGNATURE_BYTES: Final = 8
_IHDR_END: Final = 33
_IEND: Final = b"\0\0\0\0IEND\xaeB`\x82"
_STORED_BYTES: Final = 65_535
_MOST_SCRATCH_BYTES: Final = 64 * 1024 * 1024
_CHUNK_HEAD: Final = struct.Struct(">I4s")
# Programs write chunks of 8 kB; each is a step in Python.
_MANY_CHUNKS, _LEAST_BYTES = 10_000, 256
_MOST_SURPLUS_BYTES: Final = 1 << 20
_LARGEST_CHUNK: Final = 2**31 - 1
_COLORS: Final = frozenset({b"PLTE", b"tRNS"})
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_MODES: Final = {0: "grey", 2: "rgb", 3: "palette", 4: "grey+alpha", 6: "rgba"}
_KINDS: Final[dict[int, Kind]] = {1: "grey", 2: "grey+alpha", 3: "rgb", 4: "rgba"}


class _Chunk(NamedTuple):
    kind: bytes
    start: int
    end: int


@dataclass(frozen=True)
class _Layout:
    size: Size
    depth: int
    color: int
    interlaced: bool


def read_png_header(data: Buffer) -> SlideHeader:
    """Read the header; image data is passed over.

    Raises:
        ValueError: the chunks are damaged or broken off.
    """
    layout = _layout(data)
    orientation, mpp, profile, animated = 1, None, False, False
    for chunk in _chunks(data):
        if chunk.kind == b"eXIf":
            orientation = orientation_of(data[chunk.start : chunk.end])
        elif chunk.kind == b"pHYs" and chunk.end - chunk.start == 9:
            mpp = _mpp(data[chunk.start : chunk.end])
        profile |= chunk.kind == b"iCCP"
        animated |= chunk.kind == b"acTL"
    return make_header(
        format="PNG",
        stored_size=layout.size,
        mode=_MODES[layout.color],
        bits=layout.depth,
        orientation=orientation,
        mpp=mpp,
        profile=profile,
        notes=(f"{OMITTED}the frames after the first of an animation",) if animated else (),
    )


def encode_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A PNG file of uint8 (H, W, 3) RGB or (H, W) grey; the same pixels always give the same bytes.

    Run lengths of differences to the pixel above take half the time of zlib's matching, and are no larger on glass.
    """
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels), level=1, strategy=3, filter=32))


def decode_png(data: bytes) -> Samples:
    """Decode a PNG file: palettes looked up, transparency as alpha, 1, 2 and 4 bits spread over 8.

    Raises:
        ValueError: the file is damaged or broken off.
    """
    layout = _layout(data)
    chunks = list(_chunks(data))
    # The image data has a checksum of its own, which is verified when it is inflated.
    _check_sums(data, [chunk for chunk in chunks if chunk.kind != b"IDAT"])
    pixels = None if layout.interlaced else _decode_fast(data, layout, chunks)
    if pixels is None:
        _check_sums(data, [chunk for chunk in chunks if chunk.kind == b"IDAT"])
        _check_inflated_size(data, layout, chunks)
        pixels = imagecodecs.png_decode(data)
    notes = ("palette looked up",) if layout.color == 3 else ()
    num_channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if pixels.shape[:2] != (layout.size.height, layout.size.width) or num_channels not in _KINDS:
        raise ValueError(f"the decoder gave {pixels.shape} for an image of {layout.size.width} x {layout.size.height}")
    return Samples(pixels, _KINDS[num_channels], 65_535 if layout.depth == 16 else 255, notes=notes)


def _layout(data: Buffer) -> _Layout:
    first = data[_SIGNATURE_BYTES:_IHDR_END]
    if len(first) < _IHDR_END - _SIGNATURE_BYTES or first[:8] != b"\0\0\0\rIHDR":
        raise ValueError("it is broken off or damaged before its header ends")
    if zlib.crc32(first[4:21]) != int.from_bytes(first[21:25], "big"):
        raise ValueError("the checksum of its header is wrong")
    width, height, depth, color, _, _, interlace = struct.unpack(">IIBBBBB", first[8:21])
    if color not in _CHANNELS or depth not in {1, 2, 4, 8, 16}:
        raise ValueError(f"its header says colour type {color} with {depth} bits, which PNG does not have")
    return _Layout(Size(width, height), depth, color, bool(interlace))


def _chunks(data: Buffer) -> Iterator[_Chunk]:
    position, length, num = _SIGNATURE_BYTES, len(data), 0
    while position + 12 <= length:
        num += 1
        if num > _MANY_CHUNKS and position < num * _LEAST_BYTES:
            raise ValueError(f"it is cut into {num:,} chunks of {position // num} bytes on average, as no program does")
        size, kind = _CHUNK_HEAD.unpack_from(cast("bytes", data), position)
        end = position + 8 + size
        if end + 4 > length:
            break
        yield _Chunk(kind, position + 8, end)
        if kind == b"IEND":
            return
        position = end + 4
    raise ValueError(f"it is broken off: {length} bytes, and the last chunk is missing")


def _check_sums(data: bytes, chunks: list[_Chunk]) -> None:
    view = memoryview(data)
    for chunk in chunks:
        stored = int.from_bytes(view[chunk.end : chunk.end + 4], "big")
        if zlib.crc32(view[chunk.start - 4 : chunk.end]) != stored:
            raise ValueError(f"the checksum of its chunk at byte {chunk.start} is wrong")


def _check_inflated_size(data: bytes, layout: _Layout, chunks: list[_Chunk]) -> None:
    """Refuse image data that inflates far beyond the image; a few bytes too many are some writers' habit."""
    row_bytes = 5 + (layout.size.width * _CHANNELS[layout.color] * layout.depth + 7) // 8  # with those of interlacing
    num_left = row_bytes * layout.size.height + _MOST_SURPLUS_BYTES
    inflater, view = zlib.decompressobj(), memoryview(data)
    for chunk in chunks:
        compressed: bytes | memoryview = view[chunk.start : chunk.end] if chunk.kind == b"IDAT" else b""
        while compressed:
            try:
                num_left -= len(inflater.decompress(compressed, _MOST_SURPLUS_BYTES))
            except zlib.error:  # which the decoder says in its own words
                return
            if num_left < 0:
                raise ValueError("its image data inflates to more than its header says: a decompression bomb")
            compressed = inflater.unconsumed_tail


def _mpp(physical: bytes) -> float | None:
    per_metre_x, per_metre_y, unit = struct.unpack(">IIB", physical)
    if unit != 1 or not per_metre_x or not per_metre_y:
        return None
    return plausible_mpp(1e6 / per_metre_x, 1e6 / per_metre_y)


# --- the fast way -------------------------------------------------------------------------------------------------


class _Scratch(threading.local):
    """Work memory kept between calls: fresh pages cost more than the copy into them."""

    def __init__(self) -> None:
        self.buffers: dict[str, bytearray] = {}

    def take(self, name: str, num_bytes: int) -> memoryview:
        buffer = self.buffers.get(name)
        if buffer is None or len(buffer) < num_bytes:
            buffer = bytearray(num_bytes)
            if num_bytes <= _MOST_SCRATCH_BYTES:
                self.buffers[name] = buffer
        return memoryview(buffer)[:num_bytes]


_scratch = _Scratch()


def _decode_fast(data: bytes, layout: _Layout, chunks: list[_Chunk]) -> Any | None:
    """Decode by way of libdeflate; None where it refuses, and the ordinary decoder has to judge the file."""
    view = memoryview(data)
    compressed = b"".join([view[chunk.start : chunk.end] for chunk in chunks if chunk.kind == b"IDAT"])
    row_bytes = 1 + (layout.size.width * _CHANNELS[layout.color] * layout.depth + 7) // 8
    if row_bytes * layout.size.height * 1.001 > _LARGEST_CHUNK:
        return None
    inflated = _scratch.take("inflated", row_bytes * layout.size.height)
    try:
        num_bytes = len(imagecodecs.deflate_decode(compressed, out=inflated))
    except imagecodecs.DeflateError:
        return None
    if num_bytes != len(inflated):
        return None
    colors = [view[chunk.start - 8 : chunk.end + 4] for chunk in chunks if chunk.kind in _COLORS]
    plain = layout.depth == 8 and layout.color in {0, 2, 6} and not colors
    if plain:
        rows = np.frombuffer(inflated, np.uint8).reshape(layout.size.height, row_bytes)
        samples = unfilter(rows, num_channels=_CHANNELS[layout.color])
        if samples is not None:
            return samples[:, :, 0] if layout.color == 0 else samples
    stored = _stored_png(view[:_IHDR_END], colors, inflated, checksum=compressed[-4:])
    # libspng is the faster one and gives exactly these three; libpng gives every kind.
    try:
        return cast("Any", imagecodecs.spng_decode(stored) if plain else imagecodecs.png_decode(stored))
    except (imagecodecs.SpngError, imagecodecs.PngError):
        return None


def _stored_png(head: memoryview, colors: list[memoryview], inflated: memoryview, *, checksum: bytes) -> Any:
    """The same image as a PNG whose data is not compressed; `checksum` is the stream's own Adler-32."""
    num_bytes = len(inflated)
    num_blocks = -(-num_bytes // _STORED_BYTES)
    body_bytes = 2 + 5 * num_blocks + num_bytes + 4
    before = b"".join([head, *colors, struct.pack(">I", body_bytes)])
    out = _scratch.take("stored", len(before) + 4 + body_bytes + 4 + len(_IEND))
    out[: len(before)] = before
    start = len(before)
    out[start : start + 6] = b"IDAT\x78\x01"
    at = start + 6
    for first in range(0, num_bytes, _STORED_BYTES):
        count = min(_STORED_BYTES, num_bytes - first)
        out[at : at + 5] = struct.pack("<BHH", first + count == num_bytes, count, count ^ 0xFFFF)
        out[at + 5 : at + 5 + count] = inflated[first : first + count]
        at += 5 + count
    out[at : at + 4] = checksum
    out[at + 4 : at + 8] = struct.pack(">I", imagecodecs.deflate_crc32(cast("bytearray", out[start : at + 4])))
    out[at + 8 :] = _IEND
    return out
