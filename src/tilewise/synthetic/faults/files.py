"""Files that are not what they should be, and files that are the same picture in other bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MODULUS = 65_521
UNREADABLE_FAMILIES: tuple[str, ...] = ("truncated", "zero-byte", "garbage", "not-an-image", "broken-header")
REPACKED_FAMILIES: tuple[str, ...] = ("same-bytes", "other-compression", "metadata")
ENORMOUS_FAMILIES: tuple[str, ...] = ("bilevel", "grey", "colour")
ENORMOUS_SIDE = 30_000


def spoil_file(rng: np.random.Generator, data: bytes, *, family: str) -> bytes:
    """A file that cannot be decoded.

    Args:
        rng: where it is cut, what it holds.
        data: the good file.
        family: one of `UNREADABLE_FAMILIES`.
    """
    if family == "truncated":
        # Somewhere in the pixels: behind the header, and so that a good part is missing.
        return data[: int(rng.integers(60, max(61, int(0.9 * len(data)))))]
    if family == "zero-byte":
        return b""
    if family == "garbage":
        return rng.bytes(int(rng.integers(100, 50_000)))
    if family == "broken-header":
        return data[:8] + rng.bytes(25) + data[33:]
    head = (
        b"<!DOCTYPE html><html><body>404 not found</body></html>\n",
        b"%PDF-1.7\n%...\n",
        b"PK\x03\x04\x14\x00\x00\x00",
    )
    return head[int(rng.integers(len(head)))] * int(rng.integers(1, 200))


def repack_png(rng: np.random.Generator, pixels: npt.NDArray[np.uint8], *, family: str, data: bytes) -> bytes:
    """The same pixels in other bytes, but for the family `same-bytes`.

    Args:
        rng: of the level of compression and of the text.
        pixels: uint8 (H, W) or (H, W, 3).
        family: one of `REPACKED_FAMILIES`.
        data: the PNG file that is there.
    """
    import imagecodecs

    if family == "same-bytes":
        return data
    if family == "metadata":
        text = b"Comment\x00" + b"scanned again, block %d" % rng.integers(1, 100_000)
        return data[:33] + _chunk(b"tEXt", text) + data[33:]
    level, strategy = int(rng.integers(2, 6)), int(rng.choice([0, 1]))
    return bytes(imagecodecs.png_encode(pixels, level=level, strategy=strategy, filter=int(rng.choice([8, 16, 64]))))


def enormous_png(rng: np.random.Generator, *, family: str, side: int = ENORMOUS_SIDE) -> bytes:
    """A true PNG of `side` x `side` pixels with a dark band on glass, of a few megabytes at most.

    Args:
        rng: of its greys and of where the band lies.
        family: `bilevel` (1 bit), `grey` (8 bits) or `colour` (24 bits).
        side: in pixels.
    """
    depth, colour_type = {"bilevel": (1, 0), "grey": (8, 0), "colour": (8, 2)}[family]
    if family == "bilevel":
        rows = [b"\xff" * -(-side // 8), b"\x00" * -(-side // 8)]
    else:
        shades = (rng.integers(225, 245, 3), rng.integers(120, 170, 3))
        pixels = [bytes(int(v) for v in shade[: 1 if family == "grey" else 3]) for shade in shades]
        rows = [pixel * side for pixel in pixels]
    top = int(side * rng.uniform(0.2, 0.5))
    bands = [(rows[0], top), (rows[1], side // 10), (rows[0], side - top - side // 10)]
    return png_of_bands(side, bands, depth=depth, colour_type=colour_type)


def png_of_bands(width: int, bands: Iterable[tuple[bytes, int]], *, depth: int, colour_type: int) -> bytes:
    """A PNG of bands of equal rows, written without ever laying out its pixels.

    A block of equal rows is compressed once, ended by a full flush so that it stands alone, and repeated; the checksum
    of the whole follows from the block's (RFC 1950, RFC 1951).

    Args:
        width: pixels.
        bands: the packed bytes of one row, and how many rows are like it.
        depth: bits of a sample.
        colour_type: of the PNG header: 0 grey, 2 colour.
    """
    stream, low, high, height = bytearray(b"\x78\xda"), 1, 0, 0
    for row, num in bands:
        height += num
        line = b"\x00" + row
        per_block = max(1, min(num, (1 << 20) // len(line)))
        for block, repeats in ((line * per_block, num // per_block), (line, num % per_block)):
            if not repeats:
                continue
            packer = zlib.compressobj(9, zlib.DEFLATED, -15)
            stream += (packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)) * repeats
            own = zlib.adler32(block, 0)
            for _ in range(repeats):
                high = (high + len(block) * low + (own >> 16)) % _MODULUS
                low = (low + (own & 0xFFFF)) % _MODULUS
    stream += b"\x03\x00" + struct.pack(">I", high << 16 | low)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", bytes(stream)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
