"""Whether one page of a TIFF file shows another one reduced, seen from samples of both."""

from __future__ import annotations

import math
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.slides.tiff_segments import decode_segment, num_segments, require_segments, segment_size
from tilewise.units import Box, Size

Grey = npt.NDArray[np.float32]

_WHITE_IS_ZERO: Final = 0
_COMPARABLE: Final = frozenset({_WHITE_IS_ZERO, 1, 2, 6})
# Strips and tiles of the small page that are looked at, windows in them, and their side in pixels of the large page.
_NUM_SEGMENTS, _NUM_WINDOWS, _LARGE_SIDE = 5, 4, 384
_MOST_SIDE, _CELLS = 64, 4
_MOST_SEGMENT_PIXELS: Final = 64_000_000
# Grey levels, and the share of the picture's own spread, by which a reduced copy may differ from what it shows.
_NEAR, _NEAR_SHARE = 4.0, 0.35
# Levels are rounded to whole pixels; a level of another proportion is another picture (a label, say).
_SAME_PROPORTIONS: Final = 0.01


def is_reduced_copy(file: Any, small: Any, large: Any) -> bool | None:
    """Compare windows of a page, those with most to see, with the same places of a larger page.

    Args:
        file: an open `tifffile.TiffFile`.
        small: a page of it.
        large: another, wider and higher.

    Returns:
        None where they cannot be compared: colours of different kinds, damage, or one strip that is too large.
    """
    if not has_proportions(page_size(small), page_size(large)):
        return False
    if not (_is_comparable(small) and _is_comparable(large)):
        return None
    scale = page_size(large).width / page_size(small).width
    side = max(1, min(_MOST_SIDE, round(_LARGE_SIDE / scale)))
    try:
        windows = _telling_windows(file, small, side)
        pairs = [_cells(pixels, _read(file, large, _scaled(box, small, large))) for box, pixels in windows]
    except Exception:  # noqa: BLE001 - decoders raise whatever damage makes them stumble over; reading the page says it
        return None
    if not pairs:
        return None
    ours, theirs = (np.concatenate(cells) for cells in zip(*pairs, strict=True))
    apart = float(np.abs(ours - theirs).mean())
    return apart <= _NEAR + _NEAR_SHARE * float(np.abs(ours - ours.mean()).mean())


def page_size(page: Any) -> Size:
    """Width and height as stored."""
    return Size(int(page.imagewidth), int(page.imagelength))


def has_proportions(size: Size, first: Size) -> bool:
    """Whether a picture has the proportions of another, to 1 % or to the pixel that rounding may cost."""
    height = size.width * first.height / first.width
    width = size.height * first.width / first.height
    return abs(height - size.height) <= max(1.0, _SAME_PROPORTIONS * height) or abs(width - size.width) <= max(
        1.0, _SAME_PROPORTIONS * width
    )


def _is_comparable(page: Any) -> bool:
    photometric = None if page.photometric is None else int(page.photometric)
    if photometric not in _COMPARABLE or page.imagedepth != 1 or not isinstance(page.bitspersample, int):
        return False
    if page.dtype is None:
        return False
    if page.dtype != np.bool_ and not (page.dtype.kind == "u" and page.dtype.itemsize <= 2):
        return False
    width, height = segment_size(page)
    return width * height <= _MOST_SEGMENT_PIXELS


def _telling_windows(file: Any, page: Any, side: int) -> list[tuple[Box, Grey]]:
    """Windows of the strips or tiles with the most bytes and of some at equal distances, the most varied first."""
    num = num_segments(page) // (page.samplesperpixel if int(page.planarconfig) == 2 else 1)
    by_bytes = sorted(range(num), key=lambda index: -page.databytecounts[index])
    spread = [round(share * (num - 1)) for share in (0.5, 0.25, 0.75)]
    windows = []
    for index in dict.fromkeys([*by_bytes[: _NUM_SEGMENTS - len(spread)], *spread]):
        segment = _segment_box(page, index)
        pixels = _segment(file, page, index)
        for y in range(0, max(1, segment.height - side + 1), side):
            for x in range(0, max(1, segment.width - side + 1), side):
                window = pixels[y : y + side, x : x + side]
                box = Box(segment.x + x, segment.y + y, window.shape[1], window.shape[0])
                windows.append((float(window.std()), box, window))
    windows.sort(key=lambda window: -window[0])
    return [(box, window) for _, box, window in windows[:_NUM_WINDOWS]]


def _scaled(box: Box, small: Any, large: Any) -> Box:
    size, own = page_size(large), page_size(small)
    x, right = (round(place * size.width / own.width) for place in (box.x, box.right))
    y, bottom = (round(place * size.height / own.height) for place in (box.y, box.bottom))
    return Box(x, y, max(1, right - x), max(1, bottom - y))


def _read(file: Any, page: Any, box: Box) -> Grey:
    width, height = segment_size(page)
    across = math.ceil(page.imagewidth / width)
    region = np.empty((box.height, box.width), dtype=np.float32)
    for row in range(box.y // height, (box.bottom - 1) // height + 1):
        for column in range(box.x // width, (box.right - 1) // width + 1):
            index = row * across + column
            place = _segment_box(page, index)
            left, right = max(box.x, place.x), min(box.right, place.right)
            top, bottom = max(box.y, place.y), min(box.bottom, place.bottom)
            part = _segment(file, page, index)[top - place.y : bottom - place.y, left - place.x : right - place.x]
            region[top - box.y : bottom - box.y, left - box.x : right - box.x] = part
    return region


def _segment(file: Any, page: Any, index: int) -> Grey:
    """Grey, 0 black to 255 white; what was not stored is white."""
    box = _segment_box(page, index)
    num_bytes = page.databytecounts[index]
    if not num_bytes:
        return np.full((box.height, box.width), 255, dtype=np.float32)
    require_segments(page)
    file.filehandle.seek(page.dataoffsets[index])
    decoded = decode_segment(page, file.filehandle.read(num_bytes), index)[0]
    grey: Grey = decoded[: box.height, : box.width, : 3 if page.samplesperpixel >= 3 else 1].mean(
        axis=2, dtype=np.float32
    )
    top = (1 << page.bitspersample) - 1
    grey *= np.float32(255 / top)
    if int(page.photometric) == _WHITE_IS_ZERO:
        np.subtract(255, grey, out=grey)
    return grey


def _segment_box(page: Any, index: int) -> Box:
    width, height = segment_size(page)
    across = math.ceil(page.imagewidth / width)
    x, y = index % across * width, index // across * height
    return Box(x, y, min(width, page.imagewidth - x), min(height, page.imagelength - y))


def _cells(ours: Grey, theirs: Grey) -> tuple[Grey, Grey]:
    """Means over a few cells of a window, as both pages have them."""
    num = (min(_CELLS, ours.shape[1]), min(_CELLS, ours.shape[0]))
    means = [cv2.resize(pixels, num, interpolation=cv2.INTER_AREA).ravel() for pixels in (ours, theirs)]
    return means[0], means[1]
