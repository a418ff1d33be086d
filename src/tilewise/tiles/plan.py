"""The tiles of one slide: the mask first, and the fallback where the mask yields none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tilewise.audit.cohort import AuditedSlide
from tilewise.cohort import read_mask
from tilewise.slides import open_slide
from tilewise.tiles.component import component_center_tiles
from tilewise.tiles.config import TileConfig
from tilewise.tiles.window import Boxes, Ratios, window_tiles
from tilewise.tissue import tissue_mask


@dataclass(frozen=True)
class TileRequest:
    """A slide and how to cut it."""

    slide: AuditedSlide
    config: TileConfig


@dataclass(frozen=True)
class TilePlan:
    """Tiles of one slide.

    Attributes:
        boxes: int64 (N, 4) as x, y, width, height in level-0 pixels.
        ratios: float64 (N,), share of each tile that `region` covers.
        region: what the tiles were cut by: `mask`, `tissue` or `slide`.
        reason: why the mask was not used; empty where it was.
    """

    boxes: Boxes
    ratios: Ratios
    region: str
    reason: str


def plan_tiles(request: TileRequest) -> TilePlan:
    """Find the tiles of one slide. No tile is a result, not an error: `reason` says why.

    Raises:
        SlideError: the slide or its mask cannot be read.
    """
    slide, config = request.slide, request.config
    if slide.use_mask:
        mask, _ = read_mask(slide.slide, slide.size)
        boxes, ratios = _cut(mask, config)
        if len(boxes):
            return _limited(TilePlan(boxes, ratios, "mask", ""), config)
        reason = f"its mask covers {mask.mean():.2%} of the slide but yields no tile under tiles.{config.strategy}"
    else:
        reason = slide.mask_fault
    if config.fallback == "exclude":
        return TilePlan(np.empty((0, 4), np.int64), np.empty(0), "mask", reason)
    if config.fallback == "tissue":
        boxes, ratios = _cut(_tissue(slide), config)
        if len(boxes):
            return _limited(TilePlan(boxes, ratios, "tissue", reason), config)
        reason += ", and neither does its tissue"
    boxes, ratios = _cut(_whole(slide), config)
    return _limited(TilePlan(boxes, ratios, "slide", reason), config)


def _cut(region: npt.NDArray[np.bool_], config: TileConfig) -> tuple[Boxes, Ratios]:
    if config.strategy == "window":
        stride = config.stride_px or config.size_px
        return window_tiles(region, config.size_px, stride=stride, min_ratio=config.min_mask_ratio)
    return component_center_tiles(
        region, config.size_px, min_component_px=config.min_component_px, min_ratio=config.min_mask_ratio
    )


def _tissue(slide: AuditedSlide) -> npt.NDArray[np.bool_]:
    # The audit has let this size pass.
    with open_slide(slide.slide.path, max_pixels=slide.size.area) as reader:
        return tissue_mask(reader.read_whole())


def _whole(slide: AuditedSlide) -> npt.NDArray[np.bool_]:
    return np.ones((slide.size.height, slide.size.width), dtype=bool)


def _limited(plan: TilePlan, config: TileConfig) -> TilePlan:
    if config.max_tiles is None or len(plan.boxes) <= config.max_tiles:
        return plan
    # The middle of equal stretches in reading order, so that no region of the slide is favoured.
    chosen = (2 * np.arange(config.max_tiles) + 1) * len(plan.boxes) // (2 * config.max_tiles)
    return TilePlan(plan.boxes[chosen], plan.ratios[chosen], plan.region, plan.reason)
