"""Thumbnails with the tiles and the mask drawn over them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from PIL import Image

from tilewise.reporting.data import Picture
from tilewise.reporting.svg import element, path

_QUALITY = 82
# A mask of dust would cost more bytes than its picture.
_MOST_OUTLINES = 80
_SMOOTH = 0.75  # outlines may lie this many thumbnail pixels beside the mask's border


def picture_svg(picture: Picture, *, label: str, anchor: str) -> Markup:
    """The thumbnail as inline SVG: a JPEG, the boxes of the tiles and the outline of the mask, in that order.

    `anchor` is the JPEG's id, by which other drawings show it again.
    """
    width, height = picture.width, picture.height
    image = element("image", href=jpeg_uri(picture.rgb_HWC), width=width, height=height, id=anchor)
    boxes = [element("path", d=_boxes(picture), class_="tile")] if picture.tiles else []
    outlines = outline(picture.mask_HW) if picture.mask_HW is not None else []
    marks = []
    if outlines:
        around = " ".join(path(polygon, closed=True) for polygon in outlines)
        # Dark on a light halo is seen on pink tissue, on blue nuclei and on white glass.
        marks = [element("path", d=around, class_=name) for name in ("halo", "mask")]
    return element(
        "svg",
        element("title", label),
        image,
        *boxes,
        *marks,
        class_="picture",
        viewBox=f"0 0 {width} {height}",
        role="img",
    )


def jpeg_uri(rgb_HWC: npt.NDArray[np.uint8]) -> str:
    """A `data:` address of the picture as JPEG, without metadata."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb_HWC)).save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def webp(rgb_HWC: npt.NDArray[np.uint8], quality: int) -> bytes:
    """The picture as a WebP file."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb_HWC)).save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()


def webp_uri(data: bytes) -> str:
    """A `data:` address of a WebP file."""
    return "data:image/webp;base64," + base64.b64encode(data).decode("ascii")


def outline(mask_HW: npt.NDArray[np.bool_]) -> list[list[tuple[float, float]]]:
    """Polygons around the regions of a mask and around their holes, x before y, in pixels of the mask."""
    import cv2

    # A border of background keeps outlines of regions that touch the edge on the edge.
    padded = np.pad(mask_HW.astype(np.uint8), 1)
    contours, _ = cv2.findContours(padded, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    polygons = (cv2.approxPolyDP(contour, _SMOOTH, closed=True)[:, 0, :] for contour in contours)
    return [[(float(x) - 0.5, float(y) - 0.5) for x, y in polygon] for polygon in polygons if len(polygon) > 2]


def outline_path(mask_HW: npt.NDArray[np.bool_], width: int, height: int) -> str:
    """SVG path data around the largest regions of a mask, in pixels of a picture of `width` x `height`."""
    import cv2

    scaled_HW = cv2.resize(mask_HW.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) >= 0.5
    polygons = outline(scaled_HW)
    polygons.sort(key=lambda polygon: -cv2.contourArea(np.asarray(polygon, np.float32)))
    return " ".join(path(polygon, closed=True) for polygon in polygons[:_MOST_OUTLINES])


def _boxes(picture: Picture) -> str:
    return " ".join(_box(box.x, box.y, box.width, box.height) for box in picture.tiles)


def _box(x: int, y: int, width: int, height: int) -> str:
    corners: Iterable[tuple[float, float]] = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    return path(corners, closed=True)
