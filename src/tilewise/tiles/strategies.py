"""What is asked of a slide, and the tiles that one strategy cuts by one region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tilewise.auditing.cohort import AuditedSlide
from tilewise.errors import PluginError
from tilewise.plugins import find_plugin
from tilewise.tiles.component import component_box_tiles, component_center_tiles, components, reduced_px
from tilewise.tiles.config import TileConfig
from tilewise.tiles.region import Region
from tilewise.tiles.views import random_view_tiles, view_generator
from tilewise.tiles.window import Boxes, Frame, Mask, Ratios, covered_by, covered_table, window_tiles
from tilewise.units import Box


@dataclass(frozen=True)
class TileRequest:
    """A slide and how to cut it.

    Attributes:
        slide: what is cut.
        config: how.
        epoch: which draw of random views is asked for; all but training of networks takes the first, 0.
        region: the one region that it is cut by; None takes what the strategies ask for.
    """

    slide: AuditedSlide
    config: TileConfig
    epoch: int = 0
    region: Region | None = None


def strategy_boxes(strategy: str, region: Mask, request: TileRequest, *, size_l0: int) -> tuple[Boxes, Ratios]:
    """Boxes of one strategy.

    Args:
        strategy: which.
        region: what it is cut by, bool (H, W) in the size of the slide's overview.
        request: the slide and the options.
        size_l0: side of a tile, in level-0 pixels.

    Returns:
        Boxes, int64 (N, 4) inside the slide, no two equal, in an order that does not change; and the share of each
        that the region covers.
    """
    config, frame = request.config, Frame.of_slide(request.slide.size)
    if "." in strategy:
        return _of_plugin(strategy, region, request, size_l0)
    if strategy in {"window", "grid"}:
        return _window(region, config, size_l0, frame, over_tissue=strategy == "grid")
    if strategy == "component_center":
        return component_center_tiles(
            region,
            size_l0,
            min_component_px=config.min_component_px,
            min_ratio=config.min_mask_ratio,
            most_centers=config.component_center_most,
            frame=frame,
        )
    if strategy == "component_box":
        return component_box_tiles(
            region,
            min_component_px=config.min_component_px,
            smallest=config.component_box_min,
            by=config.component_box_min_by,
            frame=frame,
        )
    if strategy == "random_views":
        return random_view_tiles(
            region,
            size_l0,
            num=config.random_views_num,
            min_ratio=config.min_mask_ratio,
            generator=view_generator(config.random_views_seed, request.slide.pixel_digest, request.epoch),
            frame=frame,
        )
    width, height = frame.size
    share = float(region.mean())
    return np.array([[0, 0, width, height]] if share else [], np.int64).reshape(-1, 4), np.array([share][: share > 0])


def _of_plugin(strategy: str, region: Mask, request: TileRequest, size_l0: int) -> tuple[Boxes, Ratios]:
    """Boxes that a plugin cuts; only those that touch the region, as of every strategy."""
    plugin, size = find_plugin("tilewise.tile_strategies", strategy), request.slide.size
    function = plugin.load()
    try:
        boxes = np.asarray(function(region, request, size_l0=size_l0))
    except Exception as error:
        raise PluginError(f"{request.slide.slide_id}: {plugin} failed: {error!r}") from error
    boxes = boxes.reshape(-1, 4) if boxes.size == 0 else boxes
    is_stack = boxes.ndim == 2 and boxes.shape[1] == 4 and (boxes.size == 0 or np.issubdtype(boxes.dtype, np.integer))
    if is_stack:
        boxes = boxes.astype(np.int64)  # small integers would overflow
    if not is_stack or (boxes < [0, 0, 1, 1]).any() or (boxes[:, :2] > [size.width, size.height] - boxes[:, 2:]).any():
        raise PluginError(
            f"{request.slide.slide_id}: {plugin} cuts no boxes inside the slide ({size.width} x {size.height} px): "
            f"{boxes.dtype} of shape {boxes.shape}; give int64 (N, 4) as x, y, width, height"
        )
    _, first = np.unique(boxes, axis=0, return_index=True)
    boxes = boxes[np.sort(first)]
    ratios = covered_by(covered_table(region), boxes, Frame.of_slide(size))
    return boxes[ratios > 0], ratios[ratios > 0]


def _window(region: Mask, config: TileConfig, size_l0: int, frame: Frame, *, over_tissue: bool) -> tuple[Boxes, Ratios]:
    over, area = None, "slide" if over_tissue else config.window_over
    if area == "component_boxes":
        least = reduced_px(config.min_component_px, frame)
        over = [frame.scaled(component.box) for component in components(region, min_px=least)]
    elif area == "mask_box":
        over = [frame.scaled(box) for box in _bounding_box(region)]
    return window_tiles(
        region,
        size_l0,
        stride_l0=config.compute_stride_l0(size_l0),
        min_ratio=config.grid_min_tissue_ratio if over_tissue else config.min_mask_ratio,
        over=over,
        frame=frame,
    )


def _bounding_box(region: Mask) -> list[Box]:
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    if not rows.size:
        return []
    x, y = int(columns[0]), int(rows[0])
    return [Box(x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1)]
