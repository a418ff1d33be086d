"""From the tile table to pixels: what the encoder sees of each tile."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.cohort import AuditedSlide
from tilewise.slides import SlideReader
from tilewise.stain.normalise import AnyNormaliser, Normaliser
from tilewise.tiles.config import TileConfig
from tilewise.tiles.region import SlideRegions
from tilewise.tiles.rows import TileRows
from tilewise.tiles.window import Frame, Mask
from tilewise.tissue import green_density
from tilewise.units import Box, Size

RGB = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

_WHITE: Colour = (255, 255, 255)
_BLACK: Colour = (0, 0, 0)
# A larger tile is reduced before it is filtered by the mask, so that memory does not grow with it.
_FILTERED_PIXELS = 1 << 26
_GLASS_SIDE = 512
# Optical density of the green channel below which there is no tissue.
_GLASS_DENSITY = 0.04


def tile_masks(reader: SlideReader, slide: AuditedSlide, rows: TileRows, config: TileConfig) -> dict[str, Mask]:
    """The regions, bool (H, W), that `cut_tiles` needs for these rows: none where the mask is no filter.

    Raises:
        MaskError: the mask cannot be read.
    """
    if config.mask_filter == "none":
        return {}
    regions = SlideRegions(slide, config, reader=reader)
    return {region: regions[region] for region in sorted(set(rows.region.tolist())) if region != "slide"}


def cut_tiles(
    reader: SlideReader,
    rows: TileRows,
    config: TileConfig,
    masks: Mapping[str, Mask] | None = None,
    *,
    stain: AnyNormaliser | None = None,
) -> RGB:
    """Cut tiles of one slide: brought to a stain, filtered by the mask, filled up, and scaled to one size.

    Args:
        reader: of the slide.
        rows: all of its tiles, or some; memory grows with their number only.
        config: that they were planned with.
        masks: region -> bool (H, W) in the size of the slide's overview, as `tile_masks` gives them; a region that is
            missing is the whole slide. Needed only where `mask_filter` is set.
        stain: what the slide's pixels, and its glass where tiles are filled with it, are normalised by.

    Returns:
        uint8 (N, size_px, size_px, 3), in the order of the rows.
    """
    size_px, masks, frame = config.size_px, masks or {}, Frame.of_slide(reader.size)
    inside = config.mask_filter != "none"
    needs_glass = "background" in {config.mask_filter, config.pad_color}
    glass = glass_color(reader) if needs_glass else _WHITE
    tiles = np.empty((len(rows), size_px, size_px, 3), dtype=np.uint8)
    for index, region in enumerate(rows.region.tolist()):
        box = rows.box(index)
        left, top, inner_size = _placed(box, rows.fields[index].tolist(), size_px)
        mask = masks.get(region) if inside else None
        is_large = box.area > _FILTERED_PIXELS
        pixels = reader.read_region(box, size=inner_size if mask is None or is_large else None)
        normaliser = None if stain is None else stain.of(pixels)
        own_glass = glass
        if normaliser is not None:
            # Before anything that is no tissue is laid around it; black and white stay black and white.
            pixels, own_glass = normaliser.apply(pixels), _stained(glass, normaliser)
        if mask is not None:
            slide_pixels, pixels = pixels, np.empty_like(pixels)
            pixels[...] = _color(config.mask_filter, own_glass)
            plane = _reduced_mask(mask, box, inner_size, frame) if is_large else frame.cut(mask, box)
            cv2.copyTo(slide_pixels, np.ascontiguousarray(plane).view(np.uint8), pixels)
            pixels = _resized(pixels, inner_size)
        around = _color(config.pad_color, own_glass)
        _fill(tiles[index], pixels, (left, top), around if rows.padding[index] == "pad" else None)
    return tiles


def cut_mask_tiles(
    rows: TileRows, config: TileConfig, masks: Mapping[str, Mask], frame: Frame | None = None
) -> npt.NDArray[np.uint8]:
    """The mask under each tile, in the same frame as `cut_tiles`, for networks that take it beside the tile.

    Args:
        rows: tiles of one slide.
        config: that they were planned with.
        masks: region -> bool (H, W); a region that is missing covers the whole slide.
        frame: how the masks lie on the slide; None where they are as large.

    Returns:
        uint8 (N, size_px, size_px): 255 inside, 0 outside, between where pixels were averaged. Around a tile that is
        filled with a colour it is 0.
    """
    size_px = config.size_px
    tiles = np.empty((len(rows), size_px, size_px), dtype=np.uint8)
    for index, region in enumerate(rows.region.tolist()):
        box = rows.box(index)
        left, top, inner_size = _placed(box, rows.fields[index].tolist(), size_px)
        mask = masks.get(region)
        if mask is None:
            plane = np.full((inner_size.height, inner_size.width), 255, dtype=np.uint8)
        else:
            own_frame = frame or Frame.of_mask(mask)
            if box.area > _FILTERED_PIXELS:
                plane = _reduced_mask(mask, box, inner_size, own_frame).astype(np.uint8) * 255
            else:
                plane = _resized(own_frame.cut(mask, box).astype(np.uint8) * 255, inner_size)
        _fill(tiles[index], plane, (left, top), 0 if rows.padding[index] == "pad" else None)
    return tiles


def glass_color(reader: SlideReader) -> Colour:
    """The colour of a slide's empty glass: the median of what is hardly denser than its brightest; RGB."""
    small = reader.thumbnail(_GLASS_SIDE)
    glass = small[green_density(small) < _GLASS_DENSITY]
    if not len(glass):
        return _WHITE
    red, green, blue = (int(level) for level in np.median(glass, axis=0))
    return red, green, blue


def _reduced_mask(mask: Mask, box: Box, size: Size, frame: Frame) -> Mask:
    """The mask under a large box, at the middle of each of the pixels of a tile; bool (height, width)."""
    rows = (box.y + (np.arange(size.height) + 0.5) * box.height / size.height) // frame.factor
    columns = (box.x + (np.arange(size.width) + 0.5) * box.width / size.width) // frame.factor
    return mask[np.ix_(rows.astype(np.int64), columns.astype(np.int64))]


def _stained(color: Colour, stain: Normaliser) -> Colour:
    red, green, blue = stain.apply(np.array([[color]], dtype=np.uint8))[0, 0].tolist()
    return red, green, blue


def _color(name: str, glass: Colour) -> Colour:
    return {"black": _BLACK, "background": glass}.get(name, _WHITE)


def _placed(box: Box, field: list[int], size_px: int) -> tuple[int, int, Size]:
    """Where a box lies in the tile of its field, and how large it is there; in pixels of the tile."""
    x, y, width, height = field
    left, top = round((box.x - x) * size_px / width), round((box.y - y) * size_px / height)
    # A sliver of the slide is at least one pixel, and stays inside.
    left, top = min(left, size_px - 1), min(top, size_px - 1)
    right, bottom = round((box.right - x) * size_px / width), round((box.bottom - y) * size_px / height)
    return left, top, Size(max(1, right - left), max(1, bottom - top))


def _resized(pixels: npt.NDArray[np.uint8], size: Size) -> npt.NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    shrinks = size.width <= width and size.height <= height
    resized: npt.NDArray[np.uint8] = cv2.resize(
        pixels, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return resized


def _fill(
    tile: npt.NDArray[np.uint8], pixels: npt.NDArray[np.uint8], corner: tuple[int, int], color: Colour | int | None
) -> None:
    """Lay pixels into a tile; what is left gets the colour, or for None their mirror image."""
    left, top = corner
    height, width = pixels.shape[:2]
    if tile.shape == pixels.shape:
        tile[...] = pixels
    elif color is not None:
        tile[...] = color
        tile[top : top + height, left : left + width] = pixels
    else:
        below, right = tile.shape[0] - top - height, tile.shape[1] - left - width
        tile[...] = cv2.copyMakeBorder(pixels, top, below, left, right, cv2.BORDER_REFLECT)
