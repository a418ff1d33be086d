"""Tiles of the tissue outside the masks: what stands around the tiles that a model learns from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tilewise.auditing.cohort import AuditedCohort
from tilewise.execution import Failure
from tilewise.tiles.config import TileConfig
from tilewise.tiles.tile_cohort import tile_cohort
from tilewise.tiles.tileset import TileSet

# What a grid outside the mask takes from the tiles inside; the rest is about masks, or about tiles of other kinds.
_SHARED = (
    *("size_px", "size_um", "magnification", "assumed_mpp", "stride_px", "overlap", "fit", "pad_color"),
    *("min_tissue_ratio", "min_sharpness", "max_similarity", "max_tiles", "mask_closing_px", "mask_dilation_px"),
)


def outside_config(config: TileConfig) -> TileConfig:
    """A grid of tiles as large as those inside, at least half of each tissue outside the mask."""
    return TileConfig(strategy=("grid",), fallback="exclude", **{name: getattr(config, name) for name in _SHARED})


def outside_tiles(
    cohort: AuditedCohort, config: TileConfig, *, out: Path | None, workers: int | None
) -> tuple[TileSet, tuple[Failure, ...]]:
    """Cut the tissue outside the mask of every slide that has a usable one.

    Args:
        cohort: what is cut.
        config: of the tiles inside.
        out: where the table is kept; None keeps it nowhere.
        workers: processes; None takes every processor.

    Returns:
        The tile set, in which a slide without such tissue is skipped, and the slides that could not be read.
    """
    return tile_cohort(cohort, outside_config(config), out=out, workers=workers, require=False, region="outside")


def without_outside(names: Iterable[str], outside: TileSet) -> list[str]:
    """Slides that have no tile outside a usable mask, in the order of `names`."""
    counts = outside.counts()
    return [name for name in names if not counts.get(name)]
