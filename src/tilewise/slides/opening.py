"""Open a slide: find the format, check the header, and decode a flat image once or a pyramid region by region."""

from __future__ import annotations

import mmap
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from tilewise.errors import SlideTooLarge, SlideUnreadable
from tilewise.slides.bmp import decode_bmp, read_bmp_header
from tilewise.slides.failures import slide_errors
from tilewise.slides.header import SlideHeader
from tilewise.slides.jpeg import decode_jpeg, read_jpeg_header
from tilewise.slides.ome_zarr import SUFFIX, OmeZarrLevels, read_ome_zarr_header
from tilewise.slides.openslide_levels import OpenSlideLevels, read_openslide_header
from tilewise.slides.orientation import orient
from tilewise.slides.overview import DEFAULT_MAX_PIXELS
from tilewise.slides.png import decode_png, read_png_header
from tilewise.slides.pyramid import Levels, PyramidReader
from tilewise.slides.reader import FlatReader, SlideReader
from tilewise.slides.samples import RGB, Samples, sample_range, to_rgb
from tilewise.slides.sniff import HEAD_BYTES, sniff
from tilewise.slides.tiff import decode_tiff, read_tiff_header
from tilewise.slides.tiled_tiff import TiledTiff
from tilewise.store import digest_bytes, digest_config, digest_file

_MIRAX: Final = ".mrxs"
_HEADERS: Final = {"PNG": read_png_header, "JPEG": read_jpeg_header, "BMP": read_bmp_header}
_DECODERS: Final = {"PNG": decode_png, "JPEG": decode_jpeg, "BMP": decode_bmp}


def open_slide(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> SlideReader:
    """Open a slide for reading regions: a flat image is decoded once, here; of a tiled slide only what is read.

    Args:
        path: PNG, JPEG, BMP or TIFF, told by its bytes, a format of OpenSlide's, or a folder of OME-Zarr. Of a TIFF
            with several pages one is the slide, with those that show it reduced; the notes say what was left out.
        max_pixels: decode no more than this at once. Headers are read first, so a refusal costs nothing. Of a tiled
            slide it limits `read_whole` alone.

    Raises:
        SlideUnreadable: the file is missing, empty, damaged, broken off, of another format, or of one that needs
            OpenSlide where that is not installed.
        SlideTooLarge: it has to be decoded at once and holds more than `max_pixels`.
    """
    header = read_header(path)
    if header.levels:
        return _open_levels(path, header, max_pixels)
    samples = _decode(path, header, max_pixels)
    pixels, notes = to_rgb(samples)
    return FlatReader(
        path,
        orient(pixels, header.orientation),
        mpp=header.mpp,
        notes=(*header.notes, *notes),
        samples=sample_range(samples),
    )


def read_image(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> RGB:
    """Decode a whole slide to RGB on white, rotated as EXIF says; uint8 (H, W, 3), as `open_slide` shows it.

    Raises:
        SlideUnreadable: as `open_slide`.
        SlideTooLarge: as `open_slide`.
    """
    header = read_header(path)
    if header.levels:
        with open_slide(path, max_pixels=max_pixels) as reader:
            return reader.read_whole().copy()
    return orient(to_rgb(_decode(path, header, max_pixels))[0], header.orientation)


def read_samples(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Samples:
    """Decode an image without scaling or conversion, rotated as EXIF says; for masks, whose values are no colours.

    Args:
        path: of the file.
        max_pixels: as for `open_slide`.

    Raises:
        SlideUnreadable: as `open_slide`.
        SlideTooLarge: as `open_slide`.
    """
    header = read_header(path)
    samples = _decode(path, header, max_pixels)
    return replace(samples, pixels=orient(samples.pixels, header.orientation))


def read_header(path: Path) -> SlideHeader:
    """Read what the file says about its image; no pixel is decoded.

    Raises:
        SlideUnreadable: the file is missing, empty, damaged in its header, or of another format.
    """
    with slide_errors(path, "the file cannot be read"):
        state = path.stat()
        return _header(path, state.st_mtime_ns, state.st_size, state.st_ino)


@lru_cache(maxsize=64)
def _header(path: Path, *_state: int) -> SlideHeader:
    """A file as it is in this state; a slide's header is asked for when it is opened, and again for its mask."""
    if is_slide_folder(path):
        return read_ome_zarr_header(path)
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
        if not head:
            raise SlideUnreadable(f"{path}: the file is empty; copy it again from its source")
        format_name, notes = sniff(head, path.suffix)
        if format_name == "TIFF":
            header = read_tiff_header(path)
        elif format_name == "OpenSlide":
            header = read_openslide_header(path)
        else:
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                header = _HEADERS[format_name](data)
    return replace(header, notes=(*notes, *header.notes))


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


def is_slide_folder(path: Path) -> bool:
    """Whether a folder is one slide: OME-Zarr, by its suffix."""
    return path.suffix.lower() == SUFFIX and path.is_dir()


def slide_exists(path: Path) -> bool:
    """Whether there is a file, or a folder that is one slide."""
    return path.is_file() or is_slide_folder(path)


def digest_slide(path: Path) -> str:
    """Digest of a slide's bytes; of a folder, and of the folder beside a MIRAX file, of every file with its name."""
    folder = path.with_suffix("") if path.suffix.lower() == _MIRAX else path
    if not folder.is_dir():
        return digest_file(path)
    files = sorted(one for one in folder.rglob("*") if one.is_file())
    own = [] if folder == path else [digest_file(path)]
    return digest_config([*own, *([one.relative_to(folder).as_posix(), digest_file(one)] for one in files)])


def num_bytes(path: Path) -> int:
    """Bytes of a slide's file, or of all files in its folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(one.stat().st_size for one in files if one.is_file())


def _open_levels(path: Path, header: SlideHeader, max_pixels: int) -> SlideReader:
    with slide_errors(path, f"this {header.format} cannot be opened"):
        if header.format == "OME-Zarr":
            levels: Levels = OmeZarrLevels(path)
        else:
            levels = OpenSlideLevels(path) if header.format == "OpenSlide" else TiledTiff(path, header.pages_at)
    return PyramidReader(path, levels, mpp=header.mpp, max_pixels=max_pixels, notes=header.notes)


def _decode(path: Path, header: SlideHeader, max_pixels: int) -> Samples:
    num_pixels = header.size.width * header.size.height
    if num_pixels > max_pixels:
        raise SlideTooLarge(
            f"{path}: {header.size.width} x {header.size.height} pixels are {num_pixels / 1e6:,.1f} megapixels, more "
            f"than the {max_pixels / 1e6:,.1f} decoded at once; scale it down, or raise the limit (max_pixels)"
        )
    with slide_errors(path, f"this {header.format} cannot be decoded"):
        return decode_tiff(path, header) if header.format == "TIFF" else _DECODERS[header.format](path.read_bytes())
