"""From boxes to the fields that tiles cover: squares, several around one centre, and what is filled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tilewise.tiles.config import TileConfig
from tilewise.tiles.rows import TileRows
from tilewise.tiles.window import Boxes, Frame, Ratios, covered_by, covered_table
from tilewise.tiles.window import Mask as Region
from tilewise.units import Size


def with_fields(
    rows: TileRows, region: Region, config: TileConfig, *, size_l0: int, frame: Frame | None = None
) -> TileRows:
    """Give tiles of one strategy their fields, in every scale.

    A tile's field is the square around its box, at least as large as a tile; with `stretch` it is the box itself, with
    `crop` the square in the middle of the box. Larger and smaller fields lie around the same centre.

    Args:
        rows: tiles that `TileRows.of_boxes` made, inside the slide.
        region: what they were cut by, bool (H, W).
        config: scales and fit.
        size_l0: side of a tile, in level-0 pixels.
        frame: how the region lies on the slide; None where it is as large.

    Returns:
        The rows, those of one place together in the order of the scales; no two places equal.
    """
    if not len(rows):
        return rows
    frame = frame or Frame.of_mask(region)
    size = frame.size
    boxes = _cropped(rows.boxes) if config.fit == "crop" else rows.boxes
    squares = boxes if config.fit in {"crop", "stretch"} else _squares(boxes, size_l0)
    scales = config.field_scales
    if len(scales) == 1 and squares is rows.boxes:
        return rows
    fields = np.concatenate([squares if scale == 1.0 else _scaled(squares, scale) for scale in scales])
    clipped = np.concatenate([boxes if scale == 1.0 else _clipped(_scaled(squares, scale), size) for scale in scales])
    if config.fit in {"crop", "stretch"}:
        fields = clipped
    num = len(rows)
    order = np.arange(num * len(scales)).reshape(len(scales), num).T.ravel()
    result = rows[np.tile(np.arange(num), len(scales))[order]]
    result = replace(
        result,
        boxes=clipped[order],
        fields=fields[order],
        ratios=_ratios(clipped[order], region, rows, frame),
        scale=np.repeat(np.arange(len(scales)), num)[order],
        padding=_padding(clipped[order], fields[order], config),
    )
    return without_copies(result)


def middle_of(boxes: Boxes, fields: Boxes, share: float) -> tuple[Boxes, Boxes]:
    """Boxes and fields, int64 (N, 4), of the middle of tiles: this share of their fields' sides."""
    middle = _scaled(fields, share)
    low = np.clip(middle[:, :2], boxes[:, :2], boxes[:, :2] + boxes[:, 2:] - 1)
    high = np.clip(middle[:, :2] + middle[:, 2:], low + 1, boxes[:, :2] + boxes[:, 2:])
    return np.column_stack([low, high - low]), middle


def without_copies(rows: TileRows) -> TileRows:
    """The rows without the places that are the same as an earlier one."""
    first = rows[rows.scale == 0]
    _, first_rows = np.unique(np.column_stack([first.boxes, first.fields]), axis=0, return_index=True)
    if len(first_rows) == len(first):
        return rows
    marked = np.zeros(len(first), dtype=bool)
    marked[first_rows] = True
    return rows.keep_places(marked)


def _squares(boxes: Boxes, size_l0: int) -> Boxes:
    """Squares around boxes: as large as the longer side, and at least as a tile."""
    longest = np.maximum(boxes[:, 2:].max(axis=1), size_l0)
    squares = np.empty_like(boxes)
    squares[:, 0] = boxes[:, 0] - (longest - boxes[:, 2]) // 2
    squares[:, 1] = boxes[:, 1] - (longest - boxes[:, 3]) // 2
    squares[:, 2] = squares[:, 3] = longest
    return squares


def _cropped(boxes: Boxes) -> Boxes:
    shortest = boxes[:, 2:].min(axis=1)
    cropped = np.empty_like(boxes)
    cropped[:, 0] = boxes[:, 0] + (boxes[:, 2] - shortest) // 2
    cropped[:, 1] = boxes[:, 1] + (boxes[:, 3] - shortest) // 2
    cropped[:, 2] = cropped[:, 3] = shortest
    return cropped


def _scaled(fields: Boxes, scale: float) -> Boxes:
    sides = np.maximum(np.rint(fields[:, 2:] * scale), 1).astype(np.int64)
    corners = fields[:, :2] + (fields[:, 2:] - sides) // 2
    return np.column_stack([corners, sides])


def _clipped(fields: Boxes, size: Size) -> Boxes:
    low = np.clip(fields[:, :2], 0, np.array(size) - 1)
    high = np.clip(fields[:, :2] + fields[:, 2:], low + 1, np.array(size))
    return np.column_stack([low, high - low])


def _ratios(boxes: Boxes, region: Region, rows: TileRows, frame: Frame) -> Ratios:
    if len(boxes) == len(rows) and np.array_equal(boxes, rows.boxes):
        return rows.ratios
    return covered_by(covered_table(region), boxes, frame)


def _padding(boxes: Boxes, fields: Boxes, config: TileConfig) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    filled = (boxes != fields).any(axis=1)
    return np.where(filled, config.fit, "").astype(object)
