"""Take ink out of a slide: glass in the picture, nothing in the mask; and a picture of before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.ink.background import Background
from tilewise.auditing.ink.colours import ReducedImage
from tilewise.auditing.ink.extent import extents
from tilewise.auditing.ink.fields import Bool
from tilewise.auditing.ink.measure import SpotContext, spot_kinds
from tilewise.auditing.ink.spots import find_spots
from tilewise.tissue import tissue_within
from tilewise.units import Box, Size
from tilewise.valid import valid_field

# Telea's method grows with the area and the width of what it fills; a display asks for no more than this.
_INPAINT_SIDE: Final = 700
# The picture of a repair: colours of outlines, and pixels between its halves.
_INK: Final = (255, 140, 0)
_MASK: Final = (0, 90, 255)
_GAP_PX: Final = 8


@dataclass(frozen=True)
class RepairedImage:
    """A slide without its ink.

    Attributes:
        rgb: uint8 (H, W, 3); bit for bit the slide's outside `ink`.
        mask: bool (H, W), the region of interest without ink; None where there was no mask.
        ink: bool (H, W), what was taken out, halo included.
        tissue_lost: share of the slide's tissue under it; what cannot be seen is carried on from around it.
        filled_share: share of the slide's pixels that were filled.
    """

    rgb: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_] | None
    ink: npt.NDArray[np.bool_]
    tissue_lost: float
    filled_share: float


def remove_ink(
    rgb: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_] | None, *, inpaint: bool = False
) -> RepairedImage:
    """Fill blobs with the slide's own glass and take them, halo included, out of the mask.

    What lies under a blob nobody knows. Over glass the fill is what was there; over tissue it is no tissue, and the
    mask says so. Pen lines stay.

    Args:
        rgb: uint8 (H, W, 3).
        mask: bool (H, W); None without one.
        inpaint: draw tissue on from around the blob instead of glass (Telea, J. Graphics Tools 9(1), 2004). For
            display only: it is invented.
    """
    field = valid_field(rgb)
    picture = field.picture(rgb)
    inner = _repair(picture, None if mask is None else field.crop(mask), inpaint=inpaint)
    if picture is rgb:
        return inner
    ink = field.paste(inner.ink, rgb.shape[:2])
    repaired = rgb.copy()
    field.crop(repaired)[inner.ink] = inner.rgb[inner.ink]
    filled_share = round(float(ink.mean()), 6)
    return RepairedImage(repaired, None if mask is None else mask & ~ink, ink, inner.tissue_lost, filled_share)


def before_after(
    rgb: npt.NDArray[np.uint8],
    repaired: RepairedImage,
    max_side: int = 900,
    *,
    mask: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.uint8]:
    """Draw a slide before its repair and after it, the ink outlined in orange, the mask in blue.

    Args:
        rgb: uint8 (H, W, 3), before.
        repaired: what `remove_ink` made of it.
        max_side: pixels of each of the two pictures' longer side.
        mask: bool (H, W), before; None to draw none there.

    Returns:
        uint8 RGB, both pictures beside each other, or above each other for a wide slide.
    """
    before = _draw_outlines(rgb, repaired.ink, mask, max_side)
    after = _draw_outlines(repaired.rgb, repaired.ink, repaired.mask, max_side)
    stacked = before.shape[1] > 1.4 * before.shape[0]
    gap = np.full((_GAP_PX, before.shape[1], 3) if stacked else (before.shape[0], _GAP_PX, 3), 255, np.uint8)
    return np.concatenate([before, gap, after], axis=0 if stacked else 1)


def _repair(rgb: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_] | None, *, inpaint: bool) -> RepairedImage:
    """As `remove_ink`, of a picture without padding."""
    image = ReducedImage.of(rgb)
    spots = find_spots(image)
    tissue = tissue_within(rgb) if spots else np.zeros(rgb.shape[:2], dtype=bool)
    size = Size(image.rgb.shape[1], image.rgb.shape[0])
    context = SpotContext.of(spots, tissue, mask, image=image)
    kinds = spot_kinds(spots, context)
    blobs = tuple(spot for spot, kind in zip(spots, kinds, strict=True) if kind == "blob")
    if not blobs:
        unchanged = None if mask is None else mask.copy()
        return RepairedImage(rgb.copy(), unchanged, np.zeros(rgb.shape[:2], dtype=bool), 0.0, 0.0)
    core, halo, background = extents(rgb, image, blobs)
    ink = core | halo
    under = cv2.resize(ink.astype(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA).astype(np.float32)
    lost = float((context.tissue * under).sum()) / 255.0 / max(context.tissue_area, 1.0)
    return RepairedImage(
        rgb=_inpaint(rgb, ink) if inpaint else _fill(rgb, ink, background),
        mask=None if mask is None else mask & ~ink,
        ink=ink,
        tissue_lost=round(min(1.0, lost), 6),
        filled_share=round(float(ink.mean()), 6),
    )


def _fill(rgb: npt.NDArray[np.uint8], ink: Bool, background: Background) -> npt.NDArray[np.uint8]:
    x, y, width, height = cv2.boundingRect(ink.astype(np.uint8))
    box = Box(x, y, width, height)
    filled = rgb.copy()
    window = ink[box.rows, box.columns]
    filled[box.rows, box.columns][window] = background.with_grain(box)[window]
    return filled


def _inpaint(rgb: npt.NDArray[np.uint8], ink: Bool) -> npt.NDArray[np.uint8]:
    height, width = ink.shape
    scale = min(1.0, _INPAINT_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    # A reduced pixel with any ink in it would carry that ink inwards.
    unknown = cv2.resize(ink.astype(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA) > 0
    drawn = cv2.inpaint(small, unknown.astype(np.uint8), 5, cv2.INPAINT_TELEA)
    filled = rgb.copy()
    filled[ink] = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_LINEAR)[ink]
    return filled


def _draw_outlines(
    rgb: npt.NDArray[np.uint8], ink: npt.NDArray[np.bool_], mask: npt.NDArray[np.bool_] | None, max_side: int
) -> npt.NDArray[np.uint8]:
    height, width = ink.shape
    scale = min(1.0, max_side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = np.ascontiguousarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
    for region, colour in ((mask, _MASK), (ink, _INK)):
        if region is not None:
            small = cv2.resize(region.astype(np.uint8), size, interpolation=cv2.INTER_AREA)
            outlines, _ = cv2.findContours(small, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(picture, outlines, -1, colour, max(1, round(max(size) / 600)), cv2.LINE_8)
    return picture
