"""Audited cohort in, tile set out."""

from __future__ import annotations

from pathlib import Path

from tilewise.audit.cohort import AuditedCohort
from tilewise.errors import ArtifactError, NoTiles
from tilewise.execution import Failure, run_each
from tilewise.store import digest_config
from tilewise.tiles.config import TileConfig
from tilewise.tiles.plan import TileRequest, plan_tiles
from tilewise.tiles.tileset import TileSet

_CODE_VERSION = 1


def run(
    cohort: AuditedCohort, config: TileConfig, *, out: Path | None, workers: int | None = None
) -> tuple[TileSet, tuple[Failure, ...]]:
    """Cut every slide; reuse `out` (a Parquet file) where it was made from the same slides and config.

    Returns:
        The tile set, and the slides whose mask or pixels could not be read.

    Raises:
        NoTiles: not one slide yields a tile.
    """
    inputs = digest_config([cohort.digest, config.model_dump(mode="json"), _CODE_VERSION])
    if out is not None and out.is_file():
        try:
            tiles, made_from = TileSet.read(out)
        except ArtifactError:
            out.unlink()  # a damaged table is made again
        else:
            if made_from == inputs:
                return tiles, ()
    requests = {item.slide_id: TileRequest(item, config) for item in cohort.slides}
    outcome = run_each(plan_tiles, requests, stage="tiles", workers=workers)
    tiles = TileSet.of(outcome.results)
    if tiles.table.empty:
        name, reason = next(iter(tiles.skipped.items()), ("", "every slide failed"))
        raise NoTiles(
            f"no slide yields a tile with tiles.size_px={config.size_px} and tiles.min_mask_ratio="
            f"{config.min_mask_ratio}; {name}: {reason}. Try a smaller size or ratio, or --set tiles.fallback=slide"
        )
    if out is not None and not outcome.failures:
        tiles.write(out, inputs=inputs)
    return tiles, outcome.failures
