"""The tiles of one slide: strategies by the region each asks for, and the fallback where that yields none."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace

import numpy as np

from tilewise.auditing.cohort import AuditedSlide
from tilewise.slides import SlideReader
from tilewise.tiles.component import largest_component_box
from tilewise.tiles.config import TileConfig
from tilewise.tiles.fields import with_fields, without_copies
from tilewise.tiles.filters import in_focus, not_blank, unlike_earlier
from tilewise.tiles.region import Region, SlideRegions
from tilewise.tiles.rows import TileRows
from tilewise.tiles.strategies import TileRequest, strategy_boxes
from tilewise.tiles.window import Frame, Mask
from tilewise.wording import count

# Of a tile: less of a mask is a speck, and tells less than tissue does.
_LEAST_RATIO = 0.01


@dataclass(frozen=True)
class TilePlan:
    """Tiles of one slide.

    Attributes:
        rows: the tiles.
        reason: why the mask was not used, or why there is no tile; empty where all is as asked for.
        dropped: filter (`blank`, `blurred`, `near-duplicate`) -> tiles it took away.
        small_mask: that its mask is smaller than tiles ask for, and what was taken of it; empty otherwise.
    """

    rows: TileRows
    reason: str = ""
    dropped: dict[str, int] = field(default_factory=dict)
    small_mask: str = ""


@dataclass(frozen=True)
class _GroupPlan:
    """Tiles of strategies that fall back together; `reason` and `small_mask` as in `TilePlan`."""

    rows: dict[str, TileRows]
    reason: str = ""
    small_mask: str = ""


def plan_tiles(request: TileRequest, *, reader: SlideReader | None = None) -> TilePlan:
    """Find the tiles of one slide. No tile is a result, not an error: `reason` says why.

    Args:
        request: the slide and how to cut it.
        reader: of the slide where it is open already; otherwise it is opened only where pixels decide.

    Raises:
        SlideError: the slide or its mask cannot be read.
    """
    slide, config = request.slide, request.config
    size_l0 = config.compute_size_l0(slide.mpp)
    if size_l0 is None:
        reason = (
            f"tiles of {config.side_um:g} microns are asked for, but the slide does not know its scale; declare it in "
            "a column `mpp` of the table or by tiles.assumed_mpp, or give tiles.size_px alone"
        )
        return TilePlan(TileRows.none(), reason)
    with contextlib.closing(SlideRegions(slide, config, reader=reader)) as regions:
        return _Planner(request, size_l0, regions).plan()


class _Planner:
    """Plans one slide; `num_dropped` counts by filter what is taken away."""

    def __init__(self, request: TileRequest, size_l0: int, regions: SlideRegions) -> None:
        self.request = request
        self.config = request.config
        self.size_l0 = size_l0
        self.regions = regions
        self.frame = Frame.of_slide(request.slide.size)
        self.num_dropped: dict[str, int] = {}

    def plan(self) -> TilePlan:
        groups = [self._group(strategies) for strategies in _groups(self.config)]
        rows_of = {strategy: rows for group in groups for strategy, rows in group.rows.items()}
        reasons = dict.fromkeys(group.reason for group in groups if group.reason)
        rows = TileRows.join([rows_of[name] for name in self.config.strategy if len(rows_of[name])])
        rows = self._limited(self._distinct(without_copies(rows)))
        small_mask = "".join(group.small_mask for group in groups)
        return TilePlan(rows, "; ".join(reasons), self.num_dropped, small_mask)

    def _group(self, strategies: tuple[str, ...]) -> _GroupPlan:
        """Tiles of the first region that yields any."""
        none = dict.fromkeys(strategies, TileRows.none())
        chain, reason = _chain(strategies[0], self.request.slide, self.config)
        if self.request.region is not None:
            chain, reason = [self.request.region], ""
        for region in chain:
            num_dropped: dict[str, int] = {}
            rows_of = {strategy: self._tiles(strategy, region, num_dropped) for strategy in strategies}
            for kind, number in num_dropped.items():
                self.num_dropped[kind] = self.num_dropped.get(kind, 0) + number
            if any(len(rows) for rows in rows_of.values()):
                return _GroupPlan(rows_of, reason)
            if region == "mask" and self.config.fallback == "tissue":
                strategy, rows, small_mask = self._of_small_mask(strategies)
                if len(rows):
                    return _GroupPlan({**none, strategy: rows}, small_mask=small_mask)
            names = " and ".join(f"tiles.{name}" for name in strategies)
            reason = _extended_reason(reason, names, region, self.regions, num_dropped)
        return _GroupPlan(none, reason)

    def _tiles(self, strategy: str, region: Region, num_dropped: dict[str, int]) -> TileRows:
        boxes, ratios = strategy_boxes(strategy, self.regions[region], self.request, size_l0=self.size_l0)
        rows = TileRows.of_boxes(boxes, ratios, strategy=strategy, region=region)
        return self._finished(rows, self.regions[region], num_dropped)

    def _of_small_mask(self, strategies: tuple[str, ...]) -> tuple[str, TileRows, str]:
        """What comes nearest to the tiles asked for, which tells more than tissue does, by which strategy, and why."""
        strategy, rows, small_mask = strategies[0], TileRows.none(), ""
        if "component_box" in strategies:
            strategy, (rows, small_mask) = "component_box", self._largest_box()
        elif "window" in strategies:
            strategy, (rows, small_mask) = "window", self._fullest_windows()
        return strategy, self._finished(rows, self.regions.mask, {}), small_mask

    def _fullest_windows(self) -> tuple[TileRows, str]:
        """The windows with at least half as much of the mask as the fullest one."""
        request = replace(self.request, config=self.config.model_copy(update={"min_mask_ratio": 0.0}))
        boxes, ratios = strategy_boxes("window", self.regions.mask, request, size_l0=self.size_l0)
        if ratios.max(initial=0.0) < _LEAST_RATIO:
            return TileRows.none(), ""
        fullest = ratios >= ratios.max() / 2
        rows = TileRows.of_boxes(boxes[fullest], ratios[fullest], strategy="window", region="mask")
        small_mask = (
            f"its mask covers {ratios.max():.2g} of a tile at most (tiles.min_mask_ratio="
            f"{self.config.min_mask_ratio:g}); {count(len(rows), 'tile')} with most of it taken"
        )
        return rows, small_mask

    def _largest_box(self) -> tuple[TileRows, str]:
        """The largest box of the mask as a tile, which tells more than tissue does, and that it is below the least."""
        config = self.config
        boxes, ratios = largest_component_box(
            self.regions.mask,
            min_component_px=config.min_component_px,
            by=config.component_box_min_by,
            frame=self.frame,
        )
        if not len(boxes):
            return TileRows.none(), ""
        rows = TileRows.of_boxes(boxes, ratios, strategy="component_box", region="mask")
        width, height = boxes[0, 2:].tolist()
        unit = "px of area" if config.component_box_min_by == "area" else "px of length"
        small_mask = (
            f"no box of its mask has {config.component_box_min} {unit} (tiles.component_box_min); its largest, "
            f"{width} x {height} px, was taken"
        )
        return rows, small_mask

    def _finished(self, rows: TileRows, region: Mask, num_dropped: dict[str, int]) -> TileRows:
        """With their fields, and without places that tell nothing."""
        rows = with_fields(rows, region, self.config, size_l0=self.size_l0, frame=self.frame)
        return self._usable(rows, num_dropped)

    def _usable(self, rows: TileRows, num_dropped: dict[str, int]) -> TileRows:
        """Without blank and blurred places; a place is judged by its tile of scale 1."""
        for kind, threshold in (("blank", self.config.min_tissue_ratio), ("blurred", self.config.min_sharpness)):
            if threshold is None or not len(rows):
                continue
            boxes = rows.boxes[rows.scale == 0]
            usable = (
                not_blank(boxes, self.regions.tissue, threshold, self.frame)
                if kind == "blank"
                else in_focus(boxes, self.regions.read, threshold)
            )
            if not usable.all():
                num_dropped[kind] = num_dropped.get(kind, 0) + int((~usable).sum())
                rows = rows.keep_places(usable)
        return rows

    def _distinct(self, rows: TileRows) -> TileRows:
        if self.config.max_similarity is None or rows.num_places < 2:
            return rows
        distinct = unlike_earlier(rows.boxes[rows.scale == 0], self.regions.read, self.config.max_similarity)
        if not distinct.all():
            self.num_dropped["near-duplicate"] = int((~distinct).sum())
        return rows.keep_places(distinct)

    def _limited(self, rows: TileRows) -> TileRows:
        num, max_tiles = rows.num_places, self.config.max_tiles
        most = num if max_tiles is None else max_tiles // len(self.config.field_scales)
        if num <= most:
            return rows
        self.num_dropped["beyond max_tiles"] = num - most
        # The middle of equal stretches in reading order, so that no region of the slide is favoured.
        chosen = np.zeros(num, dtype=bool)
        chosen[(2 * np.arange(most) + 1) * num // (2 * most)] = True
        return rows.keep_places(chosen)


def _groups(config: TileConfig) -> list[tuple[str, ...]]:
    """Strategies that fall back together: where one of them finds a tile under the mask, the others need none."""
    alone = ("grid", "whole")
    together = tuple(strategy for strategy in config.strategy if strategy not in alone)
    return [*([together] if together else []), *((strategy,) for strategy in config.strategy if strategy in alone)]


def _chain(strategy: str, slide: AuditedSlide, config: TileConfig) -> tuple[list[Region], str]:
    """What strategies are cut by, in turn, and why the first of it is missing."""
    fallback: dict[str, list[Region]] = {"tissue": ["tissue", "slide"], "slide": ["slide"], "exclude": []}
    if strategy == "grid":
        return (["tissue"] if config.fallback == "exclude" else ["tissue", "slide"]), ""
    if strategy == "whole" and config.mask_filter == "none":
        return ["slide"], ""
    rest = fallback[config.fallback]
    return (["mask", *rest], "") if slide.use_mask else (rest, slide.mask_fault or "it has no mask")


def _extended_reason(
    reason: str, names: str, region: Region, regions: SlideRegions, num_dropped: dict[str, int]
) -> str:
    """The reason so far, and that this region yields no tile either."""
    dropped = ", ".join(f"{number} {kind}" for kind, number in num_dropped.items())
    because = f" ({dropped} dropped)" if dropped else ""
    if region == "mask":
        share = regions.mask.mean()
        return f"its mask covers {share:.2%} of the slide but yields no tile under {names}{because}"
    where = {"tissue": "its tissue", "outside": "its tissue outside the mask"}.get(region, "the whole slide")
    if not reason:
        return f"{where} yields no tile under {names}{because}"
    return f"{reason}, and {where} yields no tile either{because}"
