"""The public verbs: what `import tilewise` and the command line offer."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tilewise.recipe import DEFAULT, Recipe, load_recipe, packaged_recipes, recipe_schema, resolve_recipe
from tilewise.runs import RunFolder

if TYPE_CHECKING:
    from tilewise.audit.cohort import AuditedCohort
    from tilewise.audit.similar import Similar
    from tilewise.cohort import Cohort
    from tilewise.ensemble.methods import Method
    from tilewise.execution import Failure
    from tilewise.pipeline.predict import PredictionResult
    from tilewise.pipeline.train import Run
    from tilewise.segment.run import Segmentation
    from tilewise.store import Damage
    from tilewise.sweep.grid import Grid
    from tilewise.sweep.sweep import Sweep
    from tilewise.synthetic.cohort import SynthSummary
    from tilewise.tiles.tileset import TileSet

_log = logging.getLogger(__name__)

__all__ = [
    "accept_licence",
    "audit",
    "encoder",
    "encoders",
    "ensemble",
    "evaluate",
    "load_recipe",
    "packaged_recipes",
    "predict",
    "recipe_schema",
    "report",
    "resolve_recipe",
    "segment",
    "similar",
    "sweep",
    "synth",
    "tiles",
    "train",
    "verify",
]


def audit(
    cohort: Cohort | Path | str,
    recipe: Recipe | str = DEFAULT,
    *,
    out: Path | str | None = None,
    decisions: Path | str | None = None,
    against: Cohort | Path | str | None = None,
    workers: int | None = None,
) -> AuditedCohort:
    """Look for faults in a cohort; nothing in its folder is changed.

    Args:
        cohort: what was discovered, or a folder or table to discover; slides without labels can be audited too.
        recipe: a recipe, or a packaged name or YAML file; its `audit` section counts.
        out: where `findings.parquet`, `decisions.csv`, `report.html` and `repaired/` go; None writes nothing.
        decisions: a decisions.csv that a person edited; its rows win over proposals.
        against: another cohort (the test slides, say) that must share no slide with this one.
        workers: processes; None takes every processor.

    Raises:
        CohortError: the decisions have faults, or no slide is left.
    """
    from tilewise.audit.run import AuditOptions, run
    from tilewise.errors import UsageError

    if out is not None and Path(out).is_file():
        raise UsageError(f"--out {out} is a file; name a folder for the audit's report and tables")
    found = _cohort_of_any_kind(cohort, "train", "predict")
    other = None if against is None else _cohort_of_any_kind(against, "predict", "train")
    if other is not None and {item.path.resolve() for item in found.slides} & {
        item.path.resolve() for item in other.slides
    }:
        raise UsageError(
            f"--against {other.root}: some of these are the very files that are audited; name other slides"
        )
    options = AuditOptions(out=_path(out), decisions=_path(decisions), against=other, workers=workers)
    audited = run(found, _recipe(recipe).audit, options)
    if options.out is not None:
        from tilewise.report.audit import write_audit_report

        others = None if other is None else {slide.slide_id: slide for slide in other.slides}
        write_audit_report(options.out, audited, cohort=found, others=others, workers=workers)
    return audited


def train(
    cohort: Cohort | Path | str,
    recipe: Recipe | str = DEFAULT,
    *,
    out: Path | str | None = None,
    seed: int = 0,
    decisions: Path | str | None = None,
    workers: int | None = None,
    offline: bool = False,
) -> Run:
    """Audit, cut, encode, train by cross-validation, score and report; the same call resumes a stopped run.

    Args:
        cohort: what was discovered, or a folder or table to discover.
        recipe: a recipe, or a packaged name or YAML file.
        out: folder of the run; it must be new, empty, or hold this very run. None takes `runs/COHORT-RECIPE`.
        seed: of everything random; 0 is a seed.
        decisions: a decisions.csv of an audit that a person edited.
        workers: processes; None takes every processor. Results do not depend on it.
        offline: never reach for the network. Where weights are not on this machine, the recipe is changed to do without
            them; its `notes`, the run's warnings and the report say how.

    Raises:
        UsageError: the cohort, recipe or folder cannot be used; nothing that was computed is lost.
        TrainingError: training could not go on.
    """
    from tilewise.pipeline import train as pipeline
    from tilewise.pipeline.offline import offline_recipe

    cohort, recipe = _cohort(cohort), _recipe(recipe)
    if offline:
        recipe, notes = offline_recipe(recipe)
        for note in notes:
            _log.warning("%s", note)  # before the long work
    folder = _path(out) or Path("runs") / f"{cohort.root.stem}-{recipe.name}"
    run = pipeline.train(cohort, recipe, pipeline.TrainOptions(folder, seed, _path(decisions), workers, offline))
    return replace(run, warnings=(*recipe.notes, *run.warnings))


def ensemble(runs: Sequence[Run | Path | str], method: Method = "average", *, out: Path | str, seed: int = 0) -> Run:
    """Combine finished runs of the same cohort and folds into one run, fitted on their `select` predictions alone.

    Args:
        runs: two or more runs, or their folders.
        method: `average`, `weighted`, `greedy`, `stack-logistic`, `stack-boosting` or `stack-boosting-ovr`.
        out: folder of the combined run; it must be new, empty, or hold this very combination.
        seed: of what is random in the fits and of the intervals; 0 is a seed.

    Raises:
        UsageError: a folder holds no finished run, the runs differ in slides, labels, groups or folds, or `out` holds
            another run.
        ArtifactError: a run is damaged.
    """
    from tilewise.pipeline.ensemble import EnsembleOptions
    from tilewise.pipeline.ensemble import ensemble as combine

    folders = [RunFolder(Path(run)) if isinstance(run, Path | str) else run.folder for run in runs]
    return combine(folders, EnsembleOptions(Path(out), method, seed))


def predict(
    run: Run | Path | str,
    cohort: Cohort | Path | str,
    *,
    out: Path | str | None = None,
    workers: int | None = None,
    offline: bool = False,
) -> PredictionResult:
    """Classify the slides of a cohort with a trained run.

    Args:
        run: a run, or its folder.
        cohort: discovered with `purpose="predict"`, or a folder or table to discover so.
        out: where the submission goes, its details beside it; None writes nothing.
        workers: processes; None takes every processor.
        offline: never reach for the network.

    Raises:
        UsageError: the folder holds no finished run.
        ArtifactError: its classifier is damaged.
        EncoderUnavailable: the encoder's weights are not here, or are others than in training.
    """
    from tilewise.inference.ensemble import load_classifier
    from tilewise.pipeline import predict as pipeline

    folder = RunFolder(Path(run)) if isinstance(run, Path | str) else run.folder
    folder.require_finished()
    classifier = load_classifier(folder.model)
    found = _cohort(cohort, purpose="predict")
    return pipeline.predict(classifier, found, out=_path(out), workers=workers, offline=offline)


def evaluate(run: Path | str) -> dict[str, Any]:
    """Score a run's predictions again; the same numbers as in its `evaluation.json`.

    Raises:
        UsageError: the folder holds no finished run.
    """
    from tilewise.evaluation.run import evaluate_predictions
    from tilewise.folds import Folds
    from tilewise.inference.predictions import Predictions
    from tilewise.recipe import parse_recipe

    folder = RunFolder(Path(run))
    identity = folder.require_finished()
    recipe = parse_recipe(identity["recipe"], str(folder.identity))
    predictions = Predictions.read(folder.predictions)
    return evaluate_predictions(
        predictions.table,
        Folds.read(folder.folds),
        recipe.evaluation,
        classes=predictions.classes,
        seed=int(identity["seed"]),
    )


def verify(run: Path | str) -> list[Damage]:
    """Compare every file of a run with its manifest; an empty list means all is well.

    Raises:
        UsageError: the folder holds no finished run.
    """
    from tilewise.store import verify as verify_folder

    folder = RunFolder(Path(run))
    folder.require_finished()
    return verify_folder(folder.root)


def report(run: Path | str, *, out: Path | str | None = None) -> Path:
    """Write a run's HTML report again, into the run or to `out`; returns where.

    Raises:
        UsageError: the folder holds no finished run.
    """
    from tilewise.report.gather import write_report

    folder = RunFolder(Path(run))
    folder.require_finished()
    return write_report(folder, out=_path(out))


def encoders() -> list[dict[str, Any]]:
    """Every encoder of the catalogue: name, dimension, input, licence, and whether its weights are here."""
    from tilewise.encoders import encoder_table

    return encoder_table()


def encoder(name: str) -> dict[str, Any]:
    """One row of `encoders()` with the licence's text, and where its weights are looked for.

    Raises:
        UsageError: there is no such encoder; close names are named.
    """
    from tilewise.encoders import encoder_table, find_card, licence_text
    from tilewise.encoders.locate import weights_folders

    card = find_card(name)
    row = next(row for row in encoder_table() if row["name"] == card.name)
    places = [str(folder / f"{card.name}.safetensors") for folder in weights_folders()] if card.source else []
    return row | {"weights_looked_for": places, "licence_text": licence_text(card)}


def accept_licence(name: str) -> Path | None:
    """Remember that the licence of an encoder was read and accepted; returns where, None where none is asked for.

    Raises:
        UsageError: there is no such encoder.
    """
    from tilewise.encoders import accept_licence as accept
    from tilewise.encoders import find_card

    return accept(find_card(name))


def similar(
    cohort: Cohort | Path | str,
    to: Path | str,
    *,
    encoder: str | None = None,
    top: int = 12,
    out: Path | str | None = None,
    workers: int | None = None,
    offline: bool = False,
) -> Similar:
    """Find the slides of a cohort that look most like a slide or a picture.

    Args:
        cohort: what was discovered, or a folder or table to discover; it needs no labels.
        to: the name of one of its slides, or the path of any picture.
        encoder: one of the catalogue; None takes the first of `tilewise.audit.similar.PREFERRED` whose weights are
            here, else `texture`.
        top: how many slides.
        out: an HTML page with their pictures; None writes nothing.
        workers: processes; None takes every processor.
        offline: never reach for the network.

    Raises:
        UsageError: `to` is neither a slide nor a file, or no slide can be compared.
        SlideError: the example cannot be read.
        EncoderUnavailable: the encoder's weights are not here.
    """
    from tilewise.audit.similar import choose_encoder, find_similar
    from tilewise.encoders import EncoderConfig, build_encoder

    found = _cohort_of_any_kind(cohort, "train", "predict")
    config = EncoderConfig(name=encoder or choose_encoder())
    built = build_encoder(config, offline=offline, workers=workers)
    result = find_similar(found, to, encoder=built, top=top, workers=workers)
    if out is not None:
        from tilewise.report.similar import write_similar_report

        write_similar_report(Path(out), result, cohort=found, workers=workers)
    return result


def segment(
    cohort: Cohort | Path | str,
    recipe: Recipe | str = DEFAULT,
    *,
    out: Path | str | None = None,
    seed: int = 0,
    decisions: Path | str | None = None,
    workers: int | None = None,
    offline: bool = False,
) -> Segmentation:
    """Make region masks for the slides of a cohort; nothing in its folder is changed. A stopped call is resumed.

    Args:
        cohort: what was discovered, or a folder or table to discover; it needs no labels.
        recipe: a recipe, or a packaged name or YAML file; its `audit` and `segment` sections count.
        out: folder for masks, `segment.json`, `segment.html` and the `cohort.csv` to train with; None writes nothing.
        seed: of everything random; 0 is a seed.
        decisions: a decisions.csv of an audit that a person edited.
        workers: processes; None takes every processor. Results do not depend on it.
        offline: never reach for the network.

    Raises:
        UsageError: `segment.method` is none or cannot be used here, or `out` holds something else.
        TrainingError: training could not go on.
    """
    from tilewise.audit.run import AuditOptions
    from tilewise.audit.run import run as run_audit
    from tilewise.segment.output import check_out, write_output
    from tilewise.segment.run import segment as run_segment

    chosen, folder = _recipe(recipe), _path(out)
    if folder is not None:
        check_out(folder)
    found = _cohort_of_any_kind(cohort, "train", "predict")
    audited = run_audit(found, chosen.audit, AuditOptions(decisions=_path(decisions), workers=workers))
    made = run_segment(audited, chosen.segment, seed=seed, workers=workers, offline=offline)
    if folder is not None:
        write_output(folder, made, found, chosen.segment, seed=seed, workers=workers)
    return made


def tiles(
    cohort: Cohort | Path | str,
    recipe: Recipe | str = DEFAULT,
    *,
    out: Path | str | None = None,
    preview: Path | str | None = None,
    decisions: Path | str | None = None,
    workers: int | None = None,
) -> tuple[TileSet, tuple[Failure, ...]]:
    """Audit a cohort and cut it into tiles, without encoding them; also the slides that could not be read.

    Args:
        cohort: what was discovered, or a folder or table to discover; it needs no labels.
        recipe: a recipe, or a packaged name or YAML file; its `audit` and `tiles` sections count.
        out: Parquet table with a row for each tile; None writes nothing.
        preview: an HTML page with the tiles drawn on the slides; None writes nothing.
        decisions: a decisions.csv of an audit that a person edited.
        workers: processes; None takes every processor.

    Raises:
        CohortError: the decisions have faults, or no slide is left.
        NoTiles: not one slide yields a tile, and no preview is asked for that would show why.
    """
    from tilewise.audit.run import AuditOptions
    from tilewise.audit.run import run as run_audit
    from tilewise.tiles.run import run as run_tiles

    found, chosen = _cohort_of_any_kind(cohort, "train", "predict"), _recipe(recipe)
    audited = run_audit(found, chosen.audit, AuditOptions(decisions=_path(decisions), workers=workers))
    cut, failures = run_tiles(audited, chosen.tiles, out=_path(out), workers=workers, require=preview is None)
    failures = (*audited.failures, *failures)
    if preview is not None:
        from tilewise.report.tiles import PreviewInput, write_tiles_preview

        given = PreviewInput(audited, found.root, cut, chosen.tiles, failures)
        write_tiles_preview(Path(preview), given, workers=workers)
    return cut, failures


def sweep(
    cohort: Cohort | Path | str,
    grid: Grid | str,
    *,
    out: Path | str,
    seed: int = 0,
    decisions: Path | str | None = None,
    workers: int | None = None,
    offline: bool = False,
) -> Sweep:
    """Train variants of a recipe on the same folds and compare them; a stopped call is resumed.

    Args:
        cohort: what was discovered, or a folder or table to discover.
        grid: what varies: a grid, or a packaged name or YAML file.
        out: folder for the table and, in `variants/`, a run for each variant.
        seed: of everything random, the same for all variants.
        decisions: a decisions.csv of an audit that a person edited.
        workers: processes; None takes every processor.
        offline: never reach for the network; variants are changed as in `train`, and the table says how.

    Raises:
        RecipeError: the grid or a variant is not valid; nothing was run.
        UsageError: the cohort or folder cannot be used.
    """
    from tilewise.pipeline.sharing import Machine
    from tilewise.sweep.grid import Grid, load_grid
    from tilewise.sweep.run import SweepOptions
    from tilewise.sweep.sweep import sweep_cohort
    from tilewise.sweep.variants import variants_of

    chosen = grid if isinstance(grid, Grid) else load_grid(grid)
    variants = variants_of(chosen, offline=offline)
    options = SweepOptions(Path(out), seed, _path(decisions), Machine(workers, offline))
    return sweep_cohort(_cohort(cohort), chosen, variants, options)


def synth(out: Path | str, options: Mapping[str, Any] | None = None, *, workers: int | None = None) -> SynthSummary:
    """Draw a synthetic cohort with known truth; `options` are fields of `SynthConfig`.

    Raises:
        UsageError: an option is unknown or out of bounds, or `out` holds something else.
    """
    from pydantic import ValidationError

    from tilewise.errors import UsageError
    from tilewise.synthetic.cohort import write_cohort
    from tilewise.synthetic.config import SynthConfig

    try:
        config = SynthConfig.model_validate(options or {})
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise UsageError(f"synth: {faults}; correct these options") from error
    return write_cohort(Path(out), config, workers=workers)


def _cohort(cohort: Cohort | Path | str, *, purpose: Literal["train", "predict"] = "train") -> Cohort:
    from tilewise.cohort import Cohort

    return cohort if isinstance(cohort, Cohort) else Cohort.discover(Path(cohort), purpose=purpose)


def _cohort_of_any_kind(cohort: Cohort | Path | str, *purposes: Literal["train", "predict"]) -> Cohort:
    """A cohort as the first of the purposes that it serves: with labels, or slides alone."""
    from tilewise.errors import CohortError

    first: CohortError | None = None
    for purpose in purposes:
        try:
            found = _cohort(cohort, purpose=purpose)
        except CohortError as error:
            first = first or error
            continue
        # One of the challenge's two parts must not be looked at in the place of the other: its fault would go unheard.
        if first is not None and found.layout == "contract" and all(map(Path.is_dir, _both_parts(found.root))):
            break
        return found
    raise first or ValueError("no purpose was given")


def _both_parts(root: Path) -> tuple[Path, Path]:
    return root / "train_data", root / "test_data"


def _recipe(recipe: Recipe | str) -> Recipe:
    return recipe if isinstance(recipe, Recipe) else load_recipe(recipe)


def _path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path)
