"""The tiles of one slide: strategies by the region each asks for, and the fallback where that yields none."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from tilewise.auditing.cohort import AuditedSlide
from tilewise.slides import SlideReader
from tilewise.tiles.component import largest_component_box
from tilewise.tiles.config import Strategy, TileConfig
from tilewise.tiles.cut import cut
from tilewise.tiles.fields import with_fields, without_copies
from tilewise.tiles.filters import in_focus, not_blank, unlike_earlier
from tilewise.tiles.region import Region, SlideRegions
from tilewise.tiles.rows import TileRows


@dataclass(frozen=True)
class TileRequest:
    """A slide and how to cut it.

    Attributes:
        slide: what is cut.
        config: how.
        epoch: which draw of random views is asked for; all but training of networks takes the first, 0.
        num_views: random views of this slide; None takes `random_views_num`.
    """

    slide: AuditedSlide
    config: TileConfig
    epoch: int = 0
    num_views: int | None = None


@dataclass(frozen=True)
class TilePlan:
    """Tiles of one slide.

    Attributes:
        rows: the tiles.
        reason: why the mask was not used, or why there is no tile; empty where all is as asked for.
        dropped: filter (`blank`, `blurred`, `near-duplicate`) -> tiles it took away.
        small_box: that its tile is the mask's largest box, which is below `component_box_min`; empty otherwise.
    """

    rows: TileRows
    reason: str = ""
    dropped: dict[str, int] = field(default_factory=dict)
    small_box: str = ""


@dataclass(frozen=True)
class _GroupPlan:
    """Tiles of strategies that fall back together; `reason` and `small_box` as in `TilePlan`."""

    rows: dict[Strategy, TileRows]
    reason: str = ""
    small_box: str = ""


def plan_tiles(request: TileRequest, *, reader: SlideReader | None = None) -> TilePlan:
    """Find the tiles of one slide. No tile is a result, not an error: `reason` says why.

    Args:
        request: the slide and how to cut it.
        reader: of the slide where it is open already; otherwise it is opened only where pixels decide.

    Raises:
        SlideError: the slide or its mask cannot be read.
    """
    slide, config = request.slide, request.config
    side = config.side_px(slide.mpp)
    if side is None:
        reason = (
            f"tiles.size_um asks for {config.size_um:g} microns, but the slide does not know its scale; give "
            "tiles.assumed_mpp, or tiles.size_px alone"
        )
        return TilePlan(TileRows.none(), reason)
    regions = SlideRegions(slide, config, reader=reader)
    dropped: dict[str, int] = {}
    plans = [_by_group(group, request, regions, side, dropped) for group in _groups(config)]
    rows_of = {strategy: rows for plan in plans for strategy, rows in plan.rows.items()}
    reasons = dict.fromkeys(plan.reason for plan in plans if plan.reason)
    rows = without_copies(TileRows.join([rows_of[name] for name in config.strategy if len(rows_of[name])]))
    rows = _unlike(rows, regions, config, dropped)
    return TilePlan(_limited(rows, config), "; ".join(reasons), dropped, "".join(plan.small_box for plan in plans))


def _groups(config: TileConfig) -> list[tuple[Strategy, ...]]:
    """Strategies that fall back together: where one of them finds a tile under the mask, the others need none."""
    alone = ("grid", "whole")
    together = tuple(strategy for strategy in config.strategy if strategy not in alone)
    return [*([together] if together else []), *((strategy,) for strategy in config.strategy if strategy in alone)]


def _by_group(
    group: tuple[Strategy, ...], request: TileRequest, regions: SlideRegions, side: int, dropped: dict[str, int]
) -> _GroupPlan:
    """Tiles of the first region that yields any."""
    none = dict.fromkeys(group, TileRows.none())
    chain, reason = _chain(group[0], request.slide, request.config)
    for region in chain:
        counts: dict[str, int] = {}
        found = {strategy: _tiles(strategy, region, request, regions, side, counts) for strategy in group}
        for kind, number in counts.items():
            dropped[kind] = dropped.get(kind, 0) + number
        if any(len(rows) for rows in found.values()):
            return _GroupPlan(found, reason)
        if region == "mask" and "component_box" in group and request.config.fallback == "tissue":
            rows, small_box = _largest_box(request, regions, side)
            if len(rows):
                return _GroupPlan({**none, "component_box": rows}, small_box=small_box)
        reason = _said(reason, " and ".join(f"tiles.{name}" for name in group), region, regions, counts)
    return _GroupPlan(none, reason)


def _largest_box(request: TileRequest, regions: SlideRegions, side: int) -> tuple[TileRows, str]:
    """The largest box of the mask as a tile, and that it is below the least; it says more of the mask than tissue."""
    config = request.config
    boxes, ratios = largest_component_box(
        regions.mask, min_component_px=config.min_component_px, by=config.component_box_min_by
    )
    if not len(boxes):
        return TileRows.none(), ""
    rows = TileRows.of_boxes(boxes, ratios, strategy="component_box", region="mask")
    width, height = boxes[0, 2:].tolist()
    unit = "px of area" if config.component_box_min_by == "area" else "px of length"
    small_box = (
        f"no box of its mask has {config.component_box_min} {unit} (tiles.component_box_min); its largest, "
        f"{width} x {height} px, was taken"
    )
    return _of_use(with_fields(rows, regions.mask, config, side=side), regions, config, {}), small_box


def _tiles(
    strategy: Strategy,
    region: Region,
    request: TileRequest,
    regions: SlideRegions,
    side: int,
    counts: dict[str, int],
) -> TileRows:
    config = request.config
    rows = TileRows.of_boxes(*cut(strategy, regions[region], request, side=side), strategy=strategy, region=region)
    if strategy == "random_views":
        rows = replace(rows, training_only=np.arange(len(rows)) >= config.random_views_num)
    return _of_use(with_fields(rows, regions[region], config, side=side), regions, config, counts)


def _chain(strategy: Strategy, slide: AuditedSlide, config: TileConfig) -> tuple[list[Region], str]:
    """What strategies are cut by, in turn, and why the first of it is missing."""
    fallback: dict[str, list[Region]] = {"tissue": ["tissue", "slide"], "slide": ["slide"], "exclude": []}
    if strategy == "grid":
        return (["tissue"] if config.fallback == "exclude" else ["tissue", "slide"]), ""
    if strategy == "whole" and config.mask_filter == "none":
        return ["slide"], ""
    rest = fallback[config.fallback]
    return (["mask", *rest], "") if slide.use_mask else (rest, slide.mask_fault or "it has no mask")


def _said(reason: str, names: str, region: Region, regions: SlideRegions, gone: dict[str, int]) -> str:
    """The reason so far, and that this region yields no tile either."""
    dropped = ", ".join(f"{number} {kind}" for kind, number in gone.items())
    because = f" ({dropped} dropped)" if dropped else ""
    if region == "mask":
        share = regions.mask.mean()
        return f"its mask covers {share:.2%} of the slide but yields no tile under {names}{because}"
    where = "its tissue" if region == "tissue" else "the whole slide"
    if not reason:
        return f"{where} yields no tile under {names}{because}"
    return f"{reason}, and {where} yields no tile either{because}"


def _of_use(rows: TileRows, regions: SlideRegions, config: TileConfig, counts: dict[str, int]) -> TileRows:
    """Without blank and blurred places; a place is judged by its tile of scale 1."""
    for kind, threshold in (("blank", config.min_tissue_ratio), ("blurred", config.min_sharpness)):
        if threshold is None or not len(rows):
            continue
        boxes = rows.boxes[rows.scale == 0]
        kept = (
            not_blank(boxes, regions.tissue, threshold)
            if kind == "blank"
            else in_focus(boxes, regions.pixels, threshold)
        )
        if not kept.all():
            counts[kind] = counts.get(kind, 0) + int((~kept).sum())
            rows = rows.keep_places(kept)
    return rows


def _unlike(rows: TileRows, regions: SlideRegions, config: TileConfig, counts: dict[str, int]) -> TileRows:
    if config.max_similarity is None or rows.num_places < 2:
        return rows
    kept = unlike_earlier(rows.boxes[rows.scale == 0], regions.pixels, config.max_similarity)
    if not kept.all():
        counts["near-duplicate"] = int((~kept).sum())
    return rows.keep_places(kept)


def _limited(rows: TileRows, config: TileConfig) -> TileRows:
    num = rows.num_places
    most = num if config.max_tiles is None else config.max_tiles // len(config.field_scales)
    if num <= most:
        return rows
    # The middle of equal stretches in reading order, so that no region of the slide is favoured.
    kept = np.zeros(num, dtype=bool)
    kept[(2 * np.arange(most) + 1) * num // (2 * most)] = True
    return rows.keep_places(kept)
