"""JPEG: header, completeness, and libjpeg-turbo by way of imagecodecs.

One decoder whatever is installed, because two JPEG decoders may differ in the last bit.
"""

from __future__ import annotations

import struct
from typing import Final

import imagecodecs

from tilewise.slides.header import Buffer, SlideHeader, make_header, plausible_mpp
from tilewise.slides.jpeg_markers import END, FRAMES, MARKER, SCAN, segments
from tilewise.slides.jpeg_scan import scan_fault
from tilewise.slides.orientation import orientation_of
from tilewise.slides.samples import Kind, Samples
from tilewise.units import Size

_ADOBE: Final = 0xEE
# Encoders make about ten of a progressive file; a few bytes each are enough to keep a decoder busy for hours.
_MOST_SCANS: Final = 32
_MODES: Final = {1: "grey", 3: "ycbcr", 4: "cmyk"}
_KINDS: Final[dict[int, Kind]] = {1: "grey", 3: "rgb", 4: "cmyk"}


def read_jpeg_header(data: Buffer) -> SlideHeader:
    """Read the segments before the first scan.

    Raises:
        ValueError: they are damaged or broken off, or the kind of JPEG is none a slide has.
    """
    frame, orientation, mpp, profile, further = b"", 1, None, False, False
    for segment in segments(data):
        if segment.marker in FRAMES:
            frame = data[segment.start : segment.end]
            break
        content = data[segment.start : min(segment.end, segment.start + 65_536)]
        if segment.marker == 0xE1 and content.startswith(b"Exif\0\0"):
            orientation = orientation_of(content[6:])
        elif segment.marker == 0xE0 and content.startswith(b"JFIF\0"):
            mpp = _mpp(content)
        further |= segment.marker == 0xE2 and content.startswith(b"MPF\0")
        profile |= segment.marker == 0xE2 and content.startswith(b"ICC_PROFILE\0")
    if len(frame) < 6:
        raise ValueError("it is broken off before its frame header")
    bits, height, width, num_components = struct.unpack(">BHHB", frame[:6])
    if num_components not in _MODES:
        raise ValueError(f"it has {num_components} colour components, not 1, 3 or 4")
    return make_header(
        format="JPEG",
        stored_size=Size(width, height),
        mode=_MODES[num_components],
        bits=bits,
        orientation=orientation,
        mpp=mpp,
        lossy=True,
        profile=profile,
        # Cameras keep previews and depths there, so that it is no loss to a slide.
        notes=("the first of several pictures in the file taken",) if further else (),
    )


def decode_jpeg(data: bytes) -> Samples:
    """Decode a JPEG file.

    libjpeg paints what is missing grey and says nothing, so the file is followed to its end marker first, and its
    compressed data is checked.

    Raises:
        ValueError: the file is damaged or broken off.
    """
    header = read_jpeg_header(data)
    _require_end(data)
    pixels = imagecodecs.jpeg8_decode(data)
    num_channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if pixels.shape[:2] != (header.stored_size.height, header.stored_size.width) or num_channels not in _KINDS:
        raise ValueError(f"the decoder gave {pixels.shape} for an image of {header.stored_size}")
    fault = scan_fault(data)
    if fault:
        raise ValueError(fault)
    kind, top = _KINDS[num_channels], (1 << header.bits) - 1
    if kind == "cmyk" and _is_adobe(data):
        # Adobe's writers store CMYK upside down; the marker is the only sign of it.
        return Samples(top - pixels, kind, top, notes=("inverted Adobe CMYK",))
    return Samples(pixels, kind, top)


def _require_end(data: bytes) -> None:
    position = 0
    for segment in segments(data):
        position = segment.end
    num_scans = 1
    while match := MARKER.search(data, position):
        marker, start = data[match.start() + 1], match.start()
        if marker == END:
            return
        num_scans += marker == SCAN
        if num_scans > _MOST_SCANS:
            raise ValueError(
                f"it has more than {_MOST_SCANS} scans, each of which may take as long as the whole picture"
            )
        # Between the scans of a progressive file stand tables, which may hold any bytes.
        position = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    raise ValueError(f"it is broken off: {len(data)} bytes without an end marker")


def _is_adobe(data: bytes) -> bool:
    return any(
        segment.marker == _ADOBE and data[segment.start : segment.start + 5] == b"Adobe" for segment in segments(data)
    )


def _mpp(jfif: bytes) -> float | None:
    if len(jfif) < 12:
        return None
    unit, per_unit_x, per_unit_y = struct.unpack(">BHH", jfif[7:12])
    um_per_unit = {1: 25_400.0, 2: 10_000.0}.get(unit)
    if um_per_unit is None or not per_unit_x or not per_unit_y:
        return None
    return plausible_mpp(um_per_unit / per_unit_x, um_per_unit / per_unit_y)
