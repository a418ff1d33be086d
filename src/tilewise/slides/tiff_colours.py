"""Which colours a TIFF page has once its codec has decoded it, and YCbCr to RGB where the codec leaves that undone."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.slides.codestream import read_codestream

_YCBCR: Final = 6
# TIFF's tag 259: Aperio's JPEG 2000 is named after its colours, YCbCr or RGB; the others leave them to the photometric.
_APERIO_YCBCR, _APERIO_RGB = 33_003, 33_005
JPEG_2000: Final = frozenset({_APERIO_YCBCR, 33_004, _APERIO_RGB, 34_712})
"""Compressions that are JPEG 2000."""

_RGB_DECODED: Final = frozenset({6, 7, 50_001, 50_002}) | JPEG_2000  # JPEG, WebP, JPEG XL, JPEG 2000


def decodes_to_rgb(page: Any) -> bool:
    """Whether the page's codec hands out RGB where the photometric tag says YCbCr."""
    return int(page.compression) in _RGB_DECODED


def decodes_to_ycbcr(page: Any, data: bytes) -> bool:
    """Whether what tifffile decodes from a segment of this page is YCbCr still.

    Only JPEG 2000 is left so: its codestream does not name its colours, unless their planes are of different sizes or
    are mixed by the codec itself, in which cases the decoder has undone it. Aperio's 33003 is YCbCr whatever the
    photometric tag says, and 33005 never is.
    """
    compression = int(page.compression)
    if compression not in JPEG_2000 or compression == _APERIO_RGB or page.samplesperpixel < 3:
        return False
    codestream = read_codestream(data)
    if codestream is None or not codestream.is_even:
        return False
    return compression == _APERIO_YCBCR or (int(page.photometric) == _YCBCR and not codestream.is_mixed)


def rgb_from_ycbcr(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Full-range YCbCr (of JFIF) to RGB; (..., 3), uint8 or uint16."""
    shape = pixels.shape
    swapped = np.ascontiguousarray(pixels.reshape(-1, shape[-2], shape[-1])[:, :, [0, 2, 1]])
    converted: npt.NDArray[Any] = cv2.cvtColor(swapped, cv2.COLOR_YCrCb2RGB)
    return converted.reshape(shape)
