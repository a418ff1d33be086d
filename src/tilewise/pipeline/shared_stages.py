"""What several runs of one cohort have in common, made once.

A run by itself makes all of it once, too; runs that differ in their heads alone share everything before them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tilewise.auditing.audit_cohort import AuditOptions, audit_cohort
from tilewise.auditing.cohort import AuditedCohort
from tilewise.auditing.config import AuditConfig
from tilewise.cohort import Cohort
from tilewise.encoders import Encoder
from tilewise.evaluation.config import EvaluationConfig
from tilewise.execution import Failure
from tilewise.folds import FoldItem, Folds, check_num_folds, make_folds
from tilewise.pipeline.feature_places import FeaturePlaces
from tilewise.pipeline.prepare import prepare
from tilewise.pipeline.tile_preparer import TilePreparer
from tilewise.recipe import Recipe
from tilewise.run_folder import RunFolder
from tilewise.segment.segment_cohort import Segmentation, segment_cohort
from tilewise.shortcuts.find_shortcuts import Shortcuts, find_shortcuts
from tilewise.store import atomic_path, digest_bytes, digest_config
from tilewise.tiles.config import TileConfig
from tilewise.tiles.tile_cohort import tile_cohort
from tilewise.tiles.tileset import TileSet


@dataclass(frozen=True)
class Resources:
    """How stages are run here.

    No result depends on it, except that what is not on the machine may be missing, and that a ladder may lack time.

    Attributes:
        workers: processes; None takes every processor.
        offline: never reach for the network.
        deadline: when a ladder should have been climbed, by `time.monotonic`; rungs that would take longer are not
            tried, and the run says so. None: there is time for all.
    """

    workers: int | None = None
    offline: bool = False
    deadline: float | None = None


@dataclass
class SharedStages:
    """Results of stages that runs of one cohort and seed share.

    Attributes:
        cohort: of all runs.
        seed: of all runs.
        resources: how stages are run here.
        decisions: a decisions.csv of an audit that a person edited.
        folds: every run is cut like this, as far as it has the slides; None: a run cuts its own.
        tile_folder: folder where tile tables are kept for the next run; None keeps none.
    """

    has_pixels: ClassVar[bool] = True

    cohort: Cohort
    seed: int = 0
    resources: Resources = Resources()
    decisions: Path | None = None
    folds: Folds | None = None
    tile_folder: Path | None = None
    _trained: list[tuple[str, RunFolder]] = field(default_factory=list)
    _audits: dict[str, AuditedCohort] = field(default_factory=dict)
    _masks: dict[str, Segmentation] = field(default_factory=dict)
    _shortcuts: dict[str, Shortcuts] = field(default_factory=dict)
    _encoders: dict[str, tuple[Encoder | None, dict[str, Any]]] = field(default_factory=dict)

    def encoder(self, recipe: Recipe) -> tuple[Encoder | None, dict[str, Any]]:
        """See `prepare`. Only the last encoder is held: several would not fit into memory."""
        names = ("encoder",) if recipe.training.input == "features" else _OF_NETWORK
        key = digest_config([recipe.training.input, *(getattr(recipe, name) for name in names)])
        if key not in self._encoders:
            self._encoders.clear()
            self._encoders[key] = prepare(
                recipe, seed=self.seed, workers=self.resources.workers, offline=self.resources.offline
            )
        return self._encoders[key]

    def encoder_name(self, recipe: Recipe) -> str:
        """What the encoder is called; nothing is built."""
        return recipe.encoder.name

    @property
    def places(self) -> FeaturePlaces | None:
        """Where tiles lie whose slides may have no pixels; None where slides have them."""
        return None

    def add_audit(self, audited: AuditedCohort, config: AuditConfig) -> None:
        """Runs with this `audit` section need not audit again."""
        self._audits[digest_config(config)] = audited

    def audit(self, config: AuditConfig) -> AuditedCohort:
        """See `audit_cohort`."""
        key = digest_config(config)
        if key not in self._audits:
            asked = AuditOptions(decisions=self.decisions, workers=self.resources.workers)
            self._audits[key] = audit_cohort(self.cohort, config, asked)
        return self._audits[key]

    def check_num_folds(self, recipe: Recipe) -> None:
        """Refuse more folds than the cohort has groups before any work: the audit may only join groups.

        Decisions may give a slide a label, so that with them the folds alone tell.

        Raises:
            FoldsError: says how many there can be.
        """
        if self.folds is None and self.decisions is None:
            labelled = [slide for slide in self.cohort.slides if slide.label is not None]
            groups = {slide.group for slide in labelled if slide.group is not None}
            num_single = sum(slide.group is None for slide in labelled)
            if labelled:
                check_num_folds(len(groups) + num_single, recipe.folds)

    def with_folds(self, audited: AuditedCohort, recipe: Recipe) -> SharedStages:
        """The same with folds that are cut before masks are learnt, where they are learnt and there are none yet.

        Raises:
            FoldsError: the slides cannot be split as asked.
        """
        if recipe.segment.method != "unet" or recipe.segment.unet.networks is not None or self.folds is not None:
            return self
        items = FoldItem.of_cohort(audited, recipe.folds.column)
        return replace(self, folds=make_folds(items, recipe.folds, seed=self.seed))

    def masks(self, audited: AuditedCohort, recipe: Recipe) -> Segmentation:
        """See `segment_cohort`; slides that no fold learns from teach no network.

        Raises:
            UsageError: the method cannot be used here.
            TrainingError: a U-Net could not be trained.
        """
        config, never_learn = recipe.segment, frozenset() if self.folds is None else self.folds.never_trained
        key = digest_config([audited.digest, config, sorted(never_learn)])
        if key not in self._masks:
            self._masks[key] = segment_cohort(
                audited,
                config,
                seed=self.seed,
                workers=self.resources.workers,
                offline=self.resources.offline,
                never_learn=never_learn,
            )
        return self._masks[key]

    def tiles(
        self, masked: AuditedCohort, config: TileConfig, *, out: Path | None
    ) -> tuple[TileSet, tuple[Failure, ...]]:
        """See `tile_cohort`; `out` starts as the table that an earlier run cut from the same slides."""
        cached_table = None
        if self.tile_folder is not None:
            cached_table = self.tile_folder / f"tiles-{digest_config([masked.digest, config])[:16]}.parquet"
            if out is not None and cached_table.is_file() and not out.exists():
                with atomic_path(out) as here:
                    shutil.copyfile(cached_table, here)
        return tile_cohort(masked, config, out=out or cached_table, workers=self.resources.workers)

    def preparer(self, masked: AuditedCohort, tiles: TileSet, recipe: Recipe) -> TilePreparer:
        """What encodes or decodes the tiles of slides."""
        return TilePreparer(masked, tiles, self.encoder(recipe)[0], recipe)

    def shortcuts(
        self,
        masked: AuditedCohort,
        slide_ids: Sequence[str],
        config: EvaluationConfig,
        vectors: Mapping[str, npt.NDArray[np.float32]] | None,
    ) -> Shortcuts:
        """See `find_shortcuts`; runs that differ in their heads alone have the same."""
        measured = (
            None if vectors is None else [[name, digest_bytes(vectors[name].tobytes())] for name in sorted(vectors)]
        )
        key = digest_config([masked.digest, sorted(slide_ids), config, measured])
        if key not in self._shortcuts:
            self._shortcuts[key] = find_shortcuts(masked, slide_ids, config, vectors=vectors, seed=self.seed)
        return self._shortcuts[key]

    def copy_fold(self, recipe: Recipe, number: int, *, out: Path) -> None:
        """Put a fold of an earlier run here, if it was trained by the same choices and `out` is not there yet.

        Whoever reads it compares what it was trained on, so that a copy too many does no harm.
        """
        key = training_digest(recipe)
        twin = next((folder.fold(number) for known, folder in self._trained if known == key), None)
        if twin is None or out.exists():
            return
        for path in sorted(path for path in twin.rglob("*") if path.is_file()):
            with atomic_path(out / path.relative_to(twin)) as here:
                shutil.copyfile(path, here)

    def remember(self, recipe: Recipe, folder: RunFolder) -> None:
        """A run of this recipe is finished."""
        self._trained.append((training_digest(recipe), folder))

    def for_worker(self) -> SharedStages:
        """The same for another process, which works alone and makes its own encoder."""
        return replace(self, resources=replace(self.resources, workers=1), _encoders={})


def training_digest(recipe: Recipe) -> str:
    """The same for recipes whose folds are trained alike, whatever becomes of their models afterwards."""
    return digest_config(recipe.model_dump(mode="json", exclude=set(_AFTER_TRAINING)))


# What has no part in how a fold is trained.
_AFTER_TRAINING = ("name", "description", "notes", "ensemble", "views", "evaluation")
_OF_NETWORK = ("encoder", "network", "head", "training", "tiles")
