"""Open a slide: find the format, check the header, decode once, and turn every failure into one named error."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from tilewise.errors import SlideError, SlideTooLarge, SlideUnreadable
from tilewise.slides.bmp import decode_bmp, read_bmp_header
from tilewise.slides.decoder_log import quiet_decoders
from tilewise.slides.header import SlideHeader
from tilewise.slides.jpeg import decode_jpeg, read_jpeg_header
from tilewise.slides.orientation import orient
from tilewise.slides.png import decode_png, read_png_header
from tilewise.slides.reader import FlatReader, SlideReader
from tilewise.slides.samples import RGB, Samples, to_rgb
from tilewise.slides.sniff import HEAD_BYTES, sniff
from tilewise.slides.tiff import decode_tiff, read_tiff_header
from tilewise.store import digest_bytes

DEFAULT_MAX_PIXELS: Final = 400_000_000
"""Pixels a reader decodes at once unless told otherwise: 1.2 GB as RGB."""

_HEADERS: Final = {"PNG": read_png_header, "JPEG": read_jpeg_header, "BMP": read_bmp_header}
_DECODERS: Final = {"PNG": decode_png, "JPEG": decode_jpeg, "BMP": decode_bmp}


def open_slide(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> SlideReader:
    """Open a slide for reading regions; its file is decoded once, here.

    Args:
        path: PNG, JPEG, BMP or flat TIFF, told by its bytes. Of a TIFF with several pages the first is the slide.
        max_pixels: refuse to decode more than this. Headers are read first, so a refusal costs nothing.

    Raises:
        SlideUnreadable: the file is missing, empty, damaged, broken off, or of another format.
        SlideTooLarge: it holds more than `max_pixels`.
    """
    found = header(path)
    samples = _decode(path, found, max_pixels)
    pixels, notes = to_rgb(samples)
    return FlatReader(path, orient(pixels, found.orientation), mpp=found.mpp, notes=(*found.notes, *notes))


def read_image(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> RGB:
    """Decode a whole flat image to RGB on white, rotated as EXIF says; uint8 (H, W, 3).

    Raises:
        SlideUnreadable: as `open_slide`.
        SlideTooLarge: as `open_slide`.
    """
    found = header(path)
    return orient(to_rgb(_decode(path, found, max_pixels))[0], found.orientation)


def read_samples(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Samples:
    """Decode an image without scaling or conversion, rotated as EXIF says; for masks, whose values are no colours.

    Raises:
        SlideUnreadable: as `open_slide`.
        SlideTooLarge: as `open_slide`.
    """
    found = header(path)
    samples = _decode(path, found, max_pixels)
    return replace(samples, pixels=orient(samples.pixels, found.orientation))


def header(path: Path) -> SlideHeader:
    """Read what the file says about its image; no pixel is decoded.

    Raises:
        SlideUnreadable: the file is missing, empty, damaged in its header, or of another format.
    """
    with _named(path, "the file cannot be read"):
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
            if not head:
                raise SlideUnreadable(f"{path}: the file is empty; copy it again from its source")
            format_name, notes = sniff(head, path.suffix)
            if format_name == "TIFF":
                found = read_tiff_header(path)
            else:
                with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    found = _HEADERS[format_name](data)
        return replace(found, notes=(*notes, *found.notes))


def pixel_digest(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> str:
    """Digest of an image's RGB pixels and size: the same for the same pixels, whatever format or metadata hold them.

    Raises:
        SlideUnreadable: as `open_slide`.
        SlideTooLarge: as `open_slide`.
    """
    return rgb_digest(read_image(path, max_pixels=max_pixels))


def rgb_digest(rgb: RGB) -> str:
    """`pixel_digest` of decoded pixels, uint8 (H, W, 3)."""
    height, width = rgb.shape[:2]
    return digest_bytes(f"{width}x{height}:{digest_bytes(np.ascontiguousarray(rgb).data)}".encode())


def _decode(path: Path, found: SlideHeader, max_pixels: int) -> Samples:
    num_pixels = found.size.width * found.size.height
    if num_pixels > max_pixels:
        raise SlideTooLarge(
            f"{path}: {found.size.width} x {found.size.height} pixels are {num_pixels / 1e6:,.1f} megapixels, more "
            f"than the {max_pixels / 1e6:,.1f} decoded at once; scale it down, or raise the limit (max_pixels)"
        )
    with _named(path, f"this {found.format} cannot be decoded"):
        return decode_tiff(path, found) if found.format == "TIFF" else _DECODERS[found.format](path.read_bytes())


@contextlib.contextmanager
def _named(path: Path, what: str) -> Iterator[None]:
    """Give every failure the slide's name and a next step."""
    try:
        with quiet_decoders():
            yield
    except SlideError:
        raise
    except FileNotFoundError as error:
        raise SlideUnreadable(f"{path}: no such file; correct the path or put the file there") from error
    except IsADirectoryError as error:
        raise SlideUnreadable(f"{path}: this is a folder, not an image file; give the file") from error
    except PermissionError as error:
        raise SlideUnreadable(f"{path}: may not be read; change its permissions") from error
    except MemoryError as error:
        raise SlideTooLarge(f"{path}: not enough memory to decode it; scale it down or use fewer workers") from error
    except Exception as error:
        # Decoders raise whatever damage makes them stumble over; only a ValueError is meant to be read.
        stumbled = f"it is broken off or damaged ({type(error).__name__}: {error})"
        reason = str(error) if type(error) is ValueError else stumbled
        raise SlideUnreadable(f"{path}: {what}: {reason}. Copy it again from its source, or save it as PNG") from error
