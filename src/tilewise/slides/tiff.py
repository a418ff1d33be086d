"""TIFF: the header of the slide's page, and its pixels as a flat image, by way of tifffile."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tifffile

from tilewise.slides.header import OMITTED, SlideHeader, make_header
from tilewise.slides.openslide_levels import read_openslide_header
from tilewise.slides.orientation import valid_orientation
from tilewise.slides.samples import Kind, Samples
from tilewise.slides.tiff_colours import decodes_to_rgb, decodes_to_ycbcr, rgb_from_ycbcr
from tilewise.slides.tiff_copies import page_size
from tilewise.slides.tiff_directory import read_page
from tilewise.slides.tiff_pages import read_layout
from tilewise.slides.tiff_segments import require_segments, require_whole_segments
from tilewise.slides.tiff_tags import full_scale, microns_per_pixel, tag
from tilewise.slides.tiled_tiff import vendor_of
from tilewise.units import Size

# TIFF 6.0, tag 262.
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR = 0, 1, 2, 3, 5, 6
_MODES: Final = {
    _WHITE_IS_ZERO: "grey", _BLACK_IS_ZERO: "grey", _RGB: "rgb", _PALETTE: "palette", _SEPARATED: "cmyk",
    _YCBCR: "ycbcr",
}  # fmt: skip
_NUM_COLORS: Final = {"grey": 1, "rgb": 3, "palette": 1, "cmyk": 4, "ycbcr": 3}
_LOSSY: Final = frozenset({6, 7, 33003, 33004, 33005, 34712, 34892, 50001})
_PROFILE_TAG: Final = 34_675
# Sizes, depths, offsets, colours, tiles, JPEG tables: without one of these tags the pixels mean something else.
_MEANINGFUL_TAGS: Final = frozenset(
    {*range(256, 260), 262, 266, *range(273, 280), 284, *range(317, 348), *range(512, 533)}
)


def read_tiff_header(path: Path) -> SlideHeader:
    """Read the tags of the slide's page; of the formats of vendors that only OpenSlide reads, what that knows.

    Raises:
        SlideUnreadable: it needs OpenSlide, which is not installed.
        ValueError: no page can be taken for an RGB or grey slide, or more than one can.
    """
    with tifffile.TiffFile(path) as file:
        if not vendor_of(file.pages.first):
            return _header(file)
    return read_openslide_header(path)


def decode_tiff(path: Path, header: SlideHeader) -> Samples:
    """Decode the slide's page: palettes looked up, separate planes joined, YCbCr and white-is-zero turned round.

    Args:
        path: of the file.
        header: what `read_tiff_header` found in it.

    Raises:
        ValueError: the file is damaged or broken off, or stores samples that are no 8- or 16-bit image.
    """
    with tifffile.TiffFile(path) as file:
        page = read_page(file, header.pages_at[0])
        _require_complete(page, file.filehandle.size)
        require_whole_segments(file, page)
        pixels = page.asarray(maxworkers=1, squeeze=False)
        palette = page.colormap if header.mode == "palette" else None
        file.filehandle.seek(page.dataoffsets[0])
        is_ycbcr = decodes_to_ycbcr(page, file.filehandle.read(page.databytecounts[0]))
        top = full_scale(page, str(page.description or file.pages.first.description or ""), header.bits)
    pixels = _height_width_channels(pixels, header.stored_size)
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8)
    if palette is not None:
        return Samples(_apply_palette(pixels[:, :, 0], palette), "rgb", 255, notes=("palette looked up",))
    if is_ycbcr:
        pixels[:, :, :3] = rgb_from_ycbcr(np.ascontiguousarray(pixels[:, :, :3]))
    return _meaning(pixels, header, page, top)


def _header(file: Any) -> SlideHeader:
    layout = read_layout(file)
    page = layout.slide
    _require_tags(file, page)
    mode = _MODES.get(int(page.photometric)) if page.photometric is not None else None
    if mode is None:
        raise ValueError(f"its colours are {getattr(page.photometric, 'name', page.photometric)}; save it as RGB")
    _require_samples(page, mode)
    require_segments(page)
    white_is_zero = ("0 is white, as its photometric tag says",) if int(page.photometric) == _WHITE_IS_ZERO else ()
    return make_header(
        format="TIFF",
        stored_size=page_size(page),
        mode=mode,
        bits=int(page.bitspersample),
        orientation=valid_orientation(tag(page, "Orientation")),
        pages=layout.num_pages,
        mpp=microns_per_pixel(page, str(page.description or file.pages.first.description or "")),
        lossy=int(page.compression) in _LOSSY,
        profile=_PROFILE_TAG in page.tags,
        levels=tuple(page_size(level) for level in layout.levels),
        notes=(*layout.notes, *white_is_zero),
        pages_at=tuple(int(level.offset) for level in layout.levels or (page,)),
    )


def _require_tags(file: Any, page: Any) -> None:
    """Tags that tifffile could not read it leaves out, and goes on with defaults."""
    tiff = file.tiff
    file.filehandle.seek(page.offset)
    (num_tags,) = struct.unpack(tiff.tagnoformat, file.filehandle.read(tiff.tagnosize))
    entries = file.filehandle.read(num_tags * tiff.tagsize)
    codes = {
        struct.unpack_from(tiff.byteorder + "H", entries, start)[0]
        for start in range(0, len(entries) - 1, tiff.tagsize)
    }
    lost = sorted(code for code in codes & _MEANINGFUL_TAGS if code not in page.tags)
    if lost:
        raise ValueError(f"it is broken off or damaged: its tags {lost} cannot be read")


def _require_samples(page: Any, mode: str) -> None:
    kind = page.dtype
    if kind is None or not (kind == np.bool_ or (kind.kind == "u" and kind.itemsize <= 2)):
        depth = "of no known depth" if kind is None else kind
        raise ValueError(f"its samples are {depth}, not 8 or 16 bits; scale it to 8 bits and save it again")
    if not isinstance(page.bitspersample, int):
        depths = ", ".join(map(str, page.bitspersample))
        raise ValueError(f"its channels have {depths} bits; save it with 8 bits each")  # noqa: TRY004 - of a file
    if page.imagedepth != 1:
        raise ValueError(f"it is a volume of {page.imagedepth} planes; save the plane you mean")
    extra = page.samplesperpixel - _NUM_COLORS[mode]
    # With a fourth channel no decoder turns YCbCr round.
    if not 0 <= extra <= (mode != "ycbcr"):
        raise ValueError(f"it has {page.samplesperpixel} channels, which are no {mode} image; save it as RGB")
    if mode == "ycbcr" and not decodes_to_rgb(page):
        raise ValueError("it stores YCbCr without JPEG; save it as RGB")


def _require_complete(page: Any, file_bytes: int) -> None:
    """Strips and tiles have to lie inside the file; tifffile would hand out whatever memory holds for lost ones."""
    offsets, counts = page.dataoffsets, page.databytecounts
    expected = math.prod(page.chunked)
    if len(offsets) < expected or len(counts) < expected:
        raise ValueError(f"it is damaged: {min(len(offsets), len(counts))} of {expected} strips or tiles are listed")
    ends = [offset + count for offset, count in zip(offsets, counts, strict=False)]
    if max(ends) > file_bytes:
        raise ValueError(f"it is broken off: {file_bytes} of at least {max(ends)} bytes")
    if not all(counts[:expected]):
        raise ValueError("some of its strips or tiles are empty")


def _height_width_channels(pixels: npt.NDArray[Any], size: Size) -> npt.NDArray[Any]:
    """From tifffile's (separate planes, depth, height, width, contiguous samples)."""
    planes, _, height, width, samples = pixels.shape
    if (width, height) != size:
        raise ValueError(f"the decoder gave {width} x {height} pixels for an image of {size.width} x {size.height}")
    if planes == 1:
        return pixels.reshape(height, width, samples)
    return np.ascontiguousarray(np.moveaxis(pixels[:, 0, :, :, 0], 0, -1))


def _apply_palette(indices: npt.NDArray[Any], palette: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    # Palettes have 16 bits; some old writers fill only 8 of them.
    colors = palette if int(palette.max(initial=0)) < 256 else palette >> 8
    return np.ascontiguousarray(colors.T.astype(np.uint8)[indices])


def _meaning(pixels: npt.NDArray[Any], header: SlideHeader, page: Any, top: int) -> Samples:
    kinds: dict[str, Kind] = {"grey": "grey", "rgb": "rgb", "ycbcr": "rgb", "cmyk": "cmyk"}
    kind, notes, premultiplied = kinds[header.mode], [], False
    num_colors = _NUM_COLORS[header.mode]
    if pixels.shape[2] > num_colors:
        meaning = int(page.extrasamples[0]) if page.extrasamples else 0
        if meaning in {1, 2} and kind != "cmyk":
            kind, premultiplied = ("rgba" if kind == "rgb" else "grey+alpha"), meaning == 1
        else:
            spare = pixels[:, :, num_colors]
            varies = bool((spare != spare[0, 0]).any())
            notes.append(
                f"{OMITTED if varies else ''}an extra channel of no stated meaning{'' if varies else ' left out'}"
            )
            pixels = np.ascontiguousarray(pixels[:, :, :num_colors])
    stored_top = (1 << header.bits) - 1
    highest = int(pixels[:, :, :num_colors].max(initial=0)) if stored_top > 255 else 0
    if highest > top:
        notes.append(f"samples reach {highest}, more than the {top} that the file states; scaled by {stored_top}")
        top = stored_top
    if page.photometric == _WHITE_IS_ZERO:
        pixels[:, :, 0] = top - pixels[:, :, 0]
    if kind == "grey":
        pixels = pixels.reshape(pixels.shape[:2])
    return Samples(pixels, kind, top, premultiplied, tuple(notes), highest or None)
