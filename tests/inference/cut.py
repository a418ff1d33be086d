"""Small drawn cohorts, audited and cut: what decoded tiles are made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tests.drawn import draw_cohort, recipe
from tilewise.auditing.audit_cohort import AuditOptions, audit_cohort
from tilewise.auditing.cohort import AuditedCohort
from tilewise.cohort import Cohort
from tilewise.inference.slide_tiles import InputSpec, TileSource
from tilewise.inference.tilestore import TileStore
from tilewise.stain.normalise import AnyNormaliser
from tilewise.tiles.config import TileConfig
from tilewise.tiles.tile_cohort import tile_cohort
from tilewise.tiles.tileset import TileSet


@dataclass(frozen=True)
class FoldInputs:
    """A cohort with its tiles."""

    audited: AuditedCohort
    tiles: TileSet
    tile_config: TileConfig

    def source(
        self, number: int = 0, input_spec: InputSpec | None = None, stain: AnyNormaliser | None = None
    ) -> TileSource:
        """What the tiles of one slide are made from."""
        slide = self.audited.slides[number]
        return TileSource(slide, self.tiles.rows()[slide.slide_id], self.tile_config, input_spec or InputSpec(), stain)

    def store(self, cache_megabytes: float = 100.0, input_spec: InputSpec | None = None) -> TileStore:
        """All slides."""
        return TileStore.of(
            self.audited, self.tiles, self.tile_config, input_spec or InputSpec(), cache_megabytes=cache_megabytes
        )


def cut(folder: Path, *settings: str) -> FoldInputs:
    """Audit and cut the cohort in a folder."""
    chosen = recipe(*settings)
    audited = audit_cohort(Cohort.discover(folder), chosen.audit, AuditOptions(workers=1))
    tiles, failures = tile_cohort(audited, chosen.tiles, out=None, workers=1)
    assert not failures
    return FoldInputs(audited, tiles, chosen.tiles)


def drawn(folder: Path, *settings: str, num_slides: int = 4) -> FoldInputs:
    """A drawn cohort."""
    return cut(draw_cohort(folder, num_slides=num_slides), *settings)


def pixels_of(path: Path) -> np.ndarray:
    """A file's RGB, by OpenCV."""
    return cv2.imread(str(path))[:, :, ::-1]
