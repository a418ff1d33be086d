"""What a training would do, what of it is in the cache, and how long it takes, by a few slides that are timed."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tilewise.auditing.audit_cohort import AuditOptions, audit_cohort
from tilewise.auditing.decisions import Names, read_decisions
from tilewise.auditing.facts import FactsRequest, is_measured
from tilewise.cohort import Cohort, Slide
from tilewise.compute import num_processors
from tilewise.encoders import find_card
from tilewise.encoders.find_weights import needs_fetching
from tilewise.encoders.licences import check_licence
from tilewise.errors import TilewiseError
from tilewise.extraction.extract_features import num_cached
from tilewise.folds import Fold
from tilewise.pipeline.run_identity import run_identity
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.pipeline.slide_inputs import SlideInputs
from tilewise.pipeline.tile_preparer import TilePreparer
from tilewise.recipe import Recipe
from tilewise.run_folder import RunFolder
from tilewise.store import scratch_cache
from tilewise.tiles.tile_cohort import tile_cohort
from tilewise.training.fold_request import FoldRequest
from tilewise.wording import count

_NUM_TIMED = 3
_NUM_LOOKED_UP = 8
_CLASSES = ("one", "other")
# A worker's interpreter and libraries before it decodes anything, measured on Linux.
_WORKER_BYTES = 150 << 20


@dataclass(frozen=True)
class StageEstimate:
    """One stage.

    Attributes:
        name: `audit`, `tiles`, `features` or `pixels`, `training`; of a sweep also `failing`, variants that cannot be
            trained here.
        num_items: slides, of features tiles, of training folds; None where the cohort's table tells how many.
        num_cached: of these, in the cache already, scaled up from a few slides. None where that is not
            known.
        seconds: for the rest; None where the stage is not timed. Of training for networks on pixels alone, with all of
            their epochs; `pretrain`, `pseudo` and `synthesis` have no part in it.
        note: what is done.
        runs: which of several trainings need it; empty for a run.
    """

    name: str
    num_items: int | None
    num_cached: int | None
    seconds: float | None
    note: str
    runs: str = ""


@dataclass(frozen=True)
class RunEstimate:
    """What a training, or several of one cohort, would do here; times are rough.

    Attributes:
        out: folder of the run, sweep or search.
        state: `new`, `stopped` (it would go on) or `finished` (nothing would be done if nothing has changed).
        recipe: its name; of a sweep that of the grid, of a search those of space and recipe.
        num_slides: of the cohort.
        stages: in order.
        memory_bytes: peak of all processes; None where the system does not tell. Of several trainings that of the one
            that takes most; heads that are trained beside each other take more.
        timed: slides that were timed.
        num_runs: variants of a sweep that are not finished, or trials of a search; 1 for a run.
        unit: what `num_runs` counts.
    """

    out: Path
    state: Literal["new", "stopped", "finished"]
    recipe: str
    num_slides: int
    stages: tuple[StageEstimate, ...]
    memory_bytes: int | None
    timed: tuple[str, ...]
    num_runs: int = 1
    unit: Literal["run", "variant", "trial"] = "run"

    @property
    def seconds(self) -> float:
        """Of the stages that are timed."""
        return sum(stage.seconds or 0.0 for stage in self.stages)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"out": str(self.out), "seconds": self.seconds}


def estimate_run(recipe: Recipe, out: Path, shared: SharedStages) -> RunEstimate:
    """Time the stages on a few slides, in one process and with an empty cache, and scale them up to the cohort.

    Args:
        recipe: every choice.
        out: folder that the run would have.
        shared: cohort, seed and machine.

    Raises:
        UsageError: the recipe cannot be used here: weights are missing, say; or the folder holds another run.
        CohortError: the decisions have faults.
        FoldsError: the cohort has fewer groups than there should be folds.
    """
    folder, cohort = RunFolder(out), shared.cohort
    if shared.decisions is not None:
        read_decisions(shared.decisions, Names.of(cohort))
    shared.check_num_folds(recipe)
    folder.check_place(run_identity(recipe, shared))
    state: Literal["new", "stopped", "finished"] = "new"
    if folder.identity.is_file():
        state = "finished" if folder.is_finished else "stopped"
    card, is_fetched = find_card(recipe.encoder.name), False
    if needs_fetching(card, recipe.encoder, offline=shared.resources.offline):
        check_licence(card)
        encoder, is_fetched = None, True
    else:
        encoder, _ = shared.encoder(recipe)
        if encoder is not None:
            encoder.encode(np.zeros((1, 64, 64, 3), np.uint8))  # makes its engine, which is no slide's time
    workers = min(shared.resources.workers or num_processors(), len(cohort.slides))
    max_pixels = recipe.audit.max_megapixels * 1_000_000
    # Of a few slides, for every byte of a slide is read.
    looked_up = cohort.slides[:: -(-len(cohort.slides) // _NUM_LOOKED_UP) or 1]
    share_measured = sum(is_measured(FactsRequest(slide, max_pixels)) for slide in looked_up) / max(len(looked_up), 1)
    measured = round(share_measured * len(cohort.slides))
    sample = _sample(cohort)
    timing = _Timing(replace(cohort, slides=sample), recipe, encoder)
    num, num_timed = len(cohort.slides), max(len(sample), 1)
    stages = [
        StageEstimate(
            "audit", num, measured, _scaled(timing.audit, (num - measured) / workers / num_timed), "slides to measure"
        ),
        StageEstimate("tiles", num, None, _scaled(timing.tiles, num / workers / num_timed), "slides to cut"),
    ]
    num_tiles = round(timing.num_tiles * num / num_timed)
    share = timing.num_cached / num_timed if recipe.stain.method == "none" else 0.0
    seconds = _scaled(timing.inputs, (1 - share) * num / num_timed)
    if recipe.training.input == "features":
        cached, note = round(share * num_tiles), f"tiles by {_encoder(recipe, is_fetched=is_fetched)}"
        stages.append(StageEstimate("features", num_tiles, cached, seconds, note))
    else:
        stages.append(StageEstimate("pixels", num_tiles, None, seconds, "tiles to decode"))
    stages.append(_training(recipe, timing, num / num_timed, is_fetched=is_fetched))
    return RunEstimate(
        out,
        state,
        recipe.name,
        num,
        tuple(stages),
        timing.memory_bytes(workers),
        tuple(slide.slide_id for slide in sample),
    )


def _encoder(recipe: Recipe, *, is_fetched: bool) -> str:
    return f"{recipe.encoder.name}, whose weights are to be fetched" if is_fetched else recipe.encoder.name


def _training(recipe: Recipe, timing: _Timing, scale: float, *, is_fetched: bool) -> StageEstimate:
    config, epochs = recipe.folds, recipe.training.epochs
    folds = {"kfold": config.num_folds * config.repeats, "holdout": 1}.get(config.kind)
    what = (
        f"{recipe.head.kind} head"
        if recipe.training.input == "features"
        else f"network {_encoder(recipe, is_fetched=is_fetched)}"
    )
    learns = f", up to {count(epochs, 'epoch')} each" if recipe.head.learns_in_epochs and epochs else ""
    rungs = f", {count(len(recipe.ladder.tried), 'rung')} of a ladder" if recipe.ladder.rungs else ""
    seconds = None
    if timing.start is not None and timing.epoch is not None and folds is not None and not recipe.ladder.rungs:
        seconds = folds * (timing.start + timing.epoch * scale * recipe.training.epoch_config.epochs)
    return StageEstimate("training", folds, None, seconds, f"folds, {what}{learns}{rungs}")


def _scaled(seconds: float | None, factor: float) -> float | None:
    return None if seconds is None else seconds * factor


def _sample(cohort: Cohort) -> tuple[Slide, ...]:
    """Slides of small, middle and largest files."""
    ordered = sorted(cohort.slides, key=lambda slide: (_num_bytes(slide.path), slide.slide_id))
    places = {len(ordered) // 4, len(ordered) // 2, len(ordered) - 1} if ordered else set()
    return tuple(ordered[place] for place in sorted(places))[-_NUM_TIMED:]


def _num_bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


class _Timing:
    """Seconds of each stage on some slides; None from the first one that fails on."""

    def __init__(self, cohort: Cohort, recipe: Recipe, encoder: Any) -> None:
        self.audit: float | None = None
        self.tiles: float | None = None
        self.inputs: float | None = None
        # Of a network's training: what every fold costs, and an epoch.
        self.start: float | None = None
        self.epoch: float | None = None
        self.num_tiles = self.num_cached = 0
        self._before = self._decoded = _peak_bytes()
        with contextlib.suppress(TilewiseError):  # of slides that cannot be used; the run itself names them
            self._measure(cohort, recipe, encoder)
        self._after = _peak_bytes()

    def memory_bytes(self, workers: int) -> int | None:
        """Of this process with what it holds, and of workers that decode slides of the sample's size."""
        if self._before is None or self._decoded is None or self._after is None:
            return None
        others = workers * (_WORKER_BYTES + self._decoded - self._before) if workers > 1 else 0
        return self._after + others

    def _measure(self, cohort: Cohort, recipe: Recipe, encoder: Any) -> None:
        with scratch_cache():
            start = time.perf_counter()
            audited = audit_cohort(cohort, recipe.audit, AuditOptions(drop=False, workers=1))
            self.audit = time.perf_counter() - start
            start = time.perf_counter()
            tiles, _ = tile_cohort(audited, recipe.tiles, out=None, workers=1, require=False)
            self.tiles = time.perf_counter() - start
            self.num_tiles = len(tiles.table)
            self._decoded = _peak_bytes()
            if not self.num_tiles or (recipe.training.input == "features" and encoder is None):
                return
            start = time.perf_counter()
            inputs = TilePreparer(audited, tiles, encoder, recipe).prepare(())
            self.inputs = time.perf_counter() - start
            if recipe.training.input == "tiles":
                one, two = (_time_training(recipe, inputs, epochs) for epochs in (1, 2))
                self.epoch = max(two - one, 0.0)
                self.start = max(one - self.epoch, 0.0)
        if encoder is not None:
            self.num_cached = num_cached(audited, tiles, encoder, recipe.tiles)


def _time_training(recipe: Recipe, inputs: SlideInputs[Any], epochs: int) -> float:
    """Seconds in which a network learns from all slides and is validated on them, with labels that mean nothing."""
    names = tuple(inputs)
    request = FoldRequest(
        number=0,
        fold=Fold(names, names, ()),
        labels={name: _CLASSES[index % 2] for index, name in enumerate(names)},
        classes=_CLASSES,
        head=recipe.head,
        training=recipe.training.model_copy(update={"epochs": epochs}),
        seed=0,
        metric=recipe.evaluation.metric,
        network=recipe.network,
        encoder=recipe.encoder,
        augment=recipe.augment,
        offline=True,
    )
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        inputs.train(request, out=Path(folder) / "fold")
    return time.perf_counter() - start


def _peak_bytes() -> int | None:
    """Peak memory of this process."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
