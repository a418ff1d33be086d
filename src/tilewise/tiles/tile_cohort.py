"""Audited cohort in, tile set out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tilewise.auditing.cohort import AuditedCohort
from tilewise.errors import ArtifactError, NoTiles
from tilewise.execution import Failure, run_each, slide_time_limit
from tilewise.plugins import plugin_records
from tilewise.store import digest_config
from tilewise.tiles.config import TileConfig
from tilewise.tiles.plan import plan_tiles
from tilewise.tiles.region import Region
from tilewise.tiles.strategies import TileRequest
from tilewise.tiles.tileset import TileSet

_CODE_VERSION = 4
_INCOMPLETE = "incomplete"


def tile_cohort(
    cohort: AuditedCohort,
    config: TileConfig,
    *,
    out: Path | None,
    workers: int | None = None,
    require: bool = True,
    region: Region | None = None,
) -> tuple[TileSet, tuple[Failure, ...]]:
    """Cut every slide; reuse `out` (a Parquet file) where it was made from the same slides and config.

    Args:
        cohort: what is cut.
        config: how.
        out: where the table is kept; None keeps it nowhere.
        workers: processes; None takes every processor.
        require: whether there has to be a tile; without, an empty set comes back with its reasons.
        region: the one region that all slides with a usable mask are cut by; None takes what the strategies ask for.

    Returns:
        The tile set, and the slides whose mask or pixels could not be read.

    Raises:
        NoTiles: not one slide yields a tile.
    """
    choices = config.model_dump(mode="json")
    inputs = digest_config(
        [cohort.digest, choices, _CODE_VERSION, *([region] if region else []), *plugin_records({"tiles": choices})]
    )
    if out is not None and out.is_file():
        try:
            tiles, made_from = TileSet.read(out)
        except ArtifactError:
            out.unlink(missing_ok=True)  # a damaged table is made again
        else:
            if made_from == inputs:
                return tiles, ()
    requests = {item.slide_id: TileRequest(item, config) for item in cohort.slides}
    if region is not None:
        requests = {name: replace(one, region=region) for name, one in requests.items() if one.slide.use_mask}
    outcome = run_each(plan_tiles, requests, stage="tiles", workers=workers, limit_s=slide_time_limit())
    tiles = TileSet.of(outcome.results)
    if tiles.table.empty and require:
        reasons = [f"{name}: {reason}" for name, reason in tiles.skipped.items()]
        reasons += [f"{failure.item}: {failure.message}" for failure in outcome.failures]
        step = "" if out is None else ". Try a smaller size or ratio, or --set tiles.fallback=slide"
        raise NoTiles(
            f"no slide yields a tile with tiles.strategy={'+'.join(config.strategy)}, tiles.size_px={config.size_px} "
            f"and tiles.min_mask_ratio={config.min_mask_ratio}; {reasons[0]}{step}"
        )
    if out is not None:
        # A table that lacks the slides that failed serves this run's report, but the next run cuts again.
        tiles.write(out, inputs=inputs if not outcome.failures else _INCOMPLETE)
    return tiles, outcome.failures


def without_tiles(cohort: AuditedCohort, tiles: TileSet, config: TileConfig) -> tuple[Failure, ...]:
    """Slides that yield no tile, as failures; not those that `tiles.fallback=exclude` leaves out on purpose."""
    mpp = {item.slide_id: item.mpp for item in cohort.slides}
    return tuple(
        Failure(
            name,
            "tiles",
            NoTiles.__name__,
            f"it yields no tile and takes no part: {reason}; change the recipe's `tiles`, or drop it in decisions.csv",
        )
        for name, reason in tiles.skipped.items()
        if config.fallback != "exclude" or config.compute_size_l0(mpp[name]) is None
    )
