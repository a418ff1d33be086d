"""TIFF: the header of the first page, and its pixels as a flat image, by way of tifffile."""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tifffile

from tilewise.slides.header import SlideHeader, make_header, plausible_mpp
from tilewise.slides.openslide_levels import read_openslide_header
from tilewise.slides.orientation import valid_orientation
from tilewise.slides.samples import Kind, Samples
from tilewise.slides.tiled_tiff import level_pages, vendor_of
from tilewise.units import Size

# TIFF 6.0, tag 262.
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR = 0, 1, 2, 3, 5, 6
_MODES: Final = {
    _WHITE_IS_ZERO: "grey", _BLACK_IS_ZERO: "grey", _RGB: "rgb", _PALETTE: "palette", _SEPARATED: "cmyk",
    _YCBCR: "ycbcr",
}  # fmt: skip
_NUM_COLORS: Final = {"grey": 1, "rgb": 3, "palette": 1, "cmyk": 4, "ycbcr": 3}
_RGB_DECODED: Final = frozenset({6, 7, 33003, 33004, 33005, 34712, 50001, 50002})  # JPEG, JPEG 2000, WebP, JPEG XL
_LOSSY: Final = frozenset({6, 7, 33003, 33004, 33005, 34712, 34892, 50001})
_UM_PER_UNIT: Final = {2: 25_400.0, 3: 10_000.0}
_PROFILE_TAG: Final = 34_675
# Sizes, depths, offsets, colours, tiles, JPEG tables: without one of these tags the pixels mean something else.
_MEANINGFUL_TAGS: Final = frozenset(
    {*range(256, 260), 262, 266, *range(273, 280), 284, *range(317, 348), *range(512, 533)}
)


def read_tiff_header(path: Path) -> SlideHeader:
    """Read the first page's tags; of the formats of vendors that only OpenSlide reads, what that knows.

    Raises:
        SlideUnreadable: it needs OpenSlide, which is not installed.
        ValueError: the page is none that can be taken for an RGB or grey slide.
    """
    with tifffile.TiffFile(path) as file:
        if not vendor_of(file.pages.first):
            return _header(file, file.pages.first)
    return read_openslide_header(path)


def decode_tiff(path: Path, header: SlideHeader) -> Samples:
    """Decode the first page: palettes looked up, separate planes joined, white-is-zero turned round.

    Args:
        path: of the file.
        header: what `read_tiff_header` found in it.

    Raises:
        ValueError: the file is damaged or broken off, or stores samples that are no 8- or 16-bit image.
    """
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        _require_complete(page, file.filehandle.size)
        pixels = page.asarray(maxworkers=1, squeeze=False)
        palette = page.colormap if header.mode == "palette" else None
    pixels = _height_width_channels(pixels, header.stored_size)
    top = (1 << header.bits) - 1
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8)
    if palette is not None:
        return Samples(_looked_up(pixels[:, :, 0], palette), "rgb", 255, notes=("palette looked up",))
    if page.photometric == _WHITE_IS_ZERO:
        pixels[:, :, 0] = top - pixels[:, :, 0]
    return _meaning(pixels, header.mode, top, page.extrasamples)


def _header(file: Any, page: Any) -> SlideHeader:
    _require_tags(file, page)
    mode = _MODES.get(int(page.photometric)) if page.photometric is not None else None
    if mode is None:
        raise ValueError(f"its colours are {getattr(page.photometric, 'name', page.photometric)}; save it as RGB")
    _require_samples(file, page, mode)
    bits = page.bitspersample if isinstance(page.bitspersample, int) else max(page.bitspersample)
    num_pages = len(file.pages)
    levels = tuple(Size(int(level.imagewidth), int(level.imagelength)) for level in level_pages(file))
    return make_header(
        format="TIFF",
        stored_size=Size(int(page.imagewidth), int(page.imagelength)),
        mode=mode,
        bits=int(bits),
        orientation=valid_orientation(_tag(page, "Orientation")),
        pages=num_pages,
        mpp=_mpp(page),
        lossy=int(page.compression) in _LOSSY,
        profile=_PROFILE_TAG in page.tags,
        levels=levels,
        notes=() if levels else _page_notes(file, page, num_pages),
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


def _require_samples(file: Any, page: Any, mode: str) -> None:
    kind = page.dtype
    if kind is None or not (kind == np.bool_ or (kind.kind == "u" and kind.itemsize <= 2)):
        raise ValueError(f"its samples are {kind}, not 8 or 16 bits; scale it to 8 bits and save it again")
    if page.imagedepth != 1:
        raise ValueError(f"it is a volume of {page.imagedepth} planes; save the plane you mean")
    extra = page.samplesperpixel - _NUM_COLORS[mode]
    if extra < 0 or extra > 1:
        raise ValueError(f"it has {page.samplesperpixel} channels, which are no {mode} image; save it as RGB")
    if mode == "ycbcr" and int(page.compression) not in _RGB_DECODED:
        raise ValueError("it stores YCbCr without JPEG; save it as RGB")
    num_channels = _size_c(page) if mode == "grey" and file.is_ome else 1
    if num_channels > 1 and len(file.pages) >= num_channels:
        raise ValueError(f"it keeps its {num_channels} channels in separate pages; save it as RGB")


def _page_notes(file: Any, page: Any, num_pages: int) -> tuple[str, ...]:
    notes = []
    if num_pages > 1:
        notes.append(f"the first of {num_pages} pages taken")
    num_levels = 1 + len(page.subifds or ())
    if num_levels == 1 and num_pages > 1:
        num_levels = len(file.series[0].levels)
    if num_levels > 1:
        notes.append(f"level 0 of a pyramid of {num_levels} levels taken as a flat image")
    return tuple(notes)


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


def _looked_up(indices: npt.NDArray[Any], palette: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    # Palettes have 16 bits; some old writers fill only 8 of them.
    colors = palette if int(palette.max(initial=0)) < 256 else palette >> 8
    return np.ascontiguousarray(colors.T.astype(np.uint8)[indices])


def _meaning(pixels: npt.NDArray[Any], mode: str, top: int, extra_samples: tuple[int, ...]) -> Samples:
    kinds: dict[str, Kind] = {"grey": "grey", "rgb": "rgb", "ycbcr": "rgb", "cmyk": "cmyk"}
    kind, notes, premultiplied = kinds[mode], [], False
    num_colors = _NUM_COLORS[mode]
    if pixels.shape[2] > num_colors:
        meaning = int(extra_samples[0]) if extra_samples else 0
        if meaning in {1, 2} and kind != "cmyk":
            kind, premultiplied = ("rgba" if kind == "rgb" else "grey+alpha"), meaning == 1
        else:
            pixels = np.ascontiguousarray(pixels[:, :, :num_colors])
            notes.append("an extra channel of no stated meaning left out")
    if kind == "grey":
        pixels = pixels.reshape(pixels.shape[:2])
    return Samples(pixels, kind, top, premultiplied, tuple(notes))


def _mpp(page: Any) -> float | None:
    """From OME-XML, Aperio's description, or the resolution tags, in this order."""
    description = str(_tag(page, "ImageDescription") or "")
    if ome := re.search(r'PhysicalSizeX="([0-9.eE+-]+)"', description):
        unit = re.search(r'PhysicalSizeXUnit="([^"]*)"', description)
        other = re.search(r'PhysicalSizeY="([0-9.eE+-]+)"', description)
        if unit is not None and unit[1] not in {"µm", "\u03bcm", "um", "&#181;m", "&#xB5;m"}:
            return None
        return plausible_mpp(_number(ome[1]), _number((other or ome)[1]))
    if aperio := re.search(r"\|\s*MPP\s*=\s*([0-9.]+)", description):
        return plausible_mpp(_number(aperio[1]), _number(aperio[1]))
    um_per_unit = _UM_PER_UNIT.get(int(_tag(page, "ResolutionUnit") or 0))
    x, y = _ratio(_tag(page, "XResolution")), _ratio(_tag(page, "YResolution"))
    if um_per_unit is None or not x or not y:
        return None
    return plausible_mpp(um_per_unit / x, um_per_unit / y)


def _size_c(page: Any) -> int:
    found = re.search(r'SizeC="(\d{1,4})"', str(_tag(page, "ImageDescription") or ""))
    return int(found[1]) if found else 1


def _tag(page: Any, name: str) -> Any:
    return page.tags[name].value if name in page.tags else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _ratio(value: Any) -> float:
    match value:
        case (int(above), int(below)) if below:
            return above / below
        case int() | float():
            return float(value)
        case _:
            return 0.0
