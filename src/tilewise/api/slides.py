"""What is done with slides before anything is learnt: synth, audit, similar, segment, tiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilewise.api.coerce import checked, files_of, to_cohort, to_path, to_recipe, to_stages
from tilewise.execution import ExecutorName, use_executor
from tilewise.recipe import DEFAULT, Recipe

if TYPE_CHECKING:
    from tilewise.auditing.cohort import AuditedCohort
    from tilewise.auditing.similar import SimilarSlides
    from tilewise.cohort import Cohort
    from tilewise.execution import Failure
    from tilewise.segment.segment_cohort import Segmentation
    from tilewise.synthetic.cohort import SynthSummary
    from tilewise.tiles.tileset import TileSet


@checked
def synth(out: Path | str, options: Mapping[str, Any] | None = None, *, workers: int | None = None) -> SynthSummary:
    """Draw a synthetic cohort with known truth.

    Args:
        out: folder of the cohort; the same call finishes one that was stopped.
        options: keys of `SynthConfig`, such as `num_slides`, with their values.
        workers: processes; None takes every processor.

    Raises:
        UsageError: an option is unknown or out of bounds, or `out` holds something else.

    Example:
        >>> options = {"num_slides": 4, "min_side_px": 256, "classes": {"A": 1.0, "B": 1.0}}
        >>> tw.api.synth("drawn", options).num_train
        4
    """
    from pydantic import ValidationError

    from tilewise.errors import ArgumentError, UsageError
    from tilewise.recipe.faults import explain as describe_faults
    from tilewise.synthetic.cohort import write_cohort
    from tilewise.synthetic.config import SynthConfig

    if options is not None and not isinstance(options, Mapping):
        raise ArgumentError(f"options: expected a mapping such as {{'num_slides': 20}}, not a {type(options).__name__}")
    try:
        config = SynthConfig.model_validate(dict(options or {}))
    except ValidationError as error:
        raise UsageError(f"synth: {describe_faults(error, {}, SynthConfig)}") from error
    return write_cohort(Path(out), config, workers=workers)


@checked
def audit(
    cohort: Cohort | Path | str,
    recipe: Recipe | Mapping[str, Any] | Path | str = DEFAULT,
    *,
    out: Path | str | None = None,
    decisions: Path | str | None = None,
    against: Cohort | Path | str | None = None,
    workers: int | None = None,
    executor: ExecutorName | None = None,
) -> AuditedCohort:
    """Look for faults in a cohort; nothing in its folder is changed.

    Args:
        cohort: what was discovered, or a folder or table to discover; slides without labels can be audited too.
        recipe: a recipe, a packaged name, a YAML file, or keys as in one; its `audit` section counts.
        out: where `findings.parquet`, `decisions.csv`, `report.html` and `repaired/` go; None writes nothing.
        decisions: a decisions.csv that a person edited; its rows win over proposals.
        against: another cohort (the test slides, say) that must share no slide with this one.
        workers: processes; None takes every processor.
        executor: `local` or `ray`, a cluster (docs/how-to/ray.md); None takes `$TILEWISE_EXECUTOR`, else `local`.
            Results do not depend on it.

    Raises:
        CohortError: the decisions have faults, or no slide can be read. Where all are dropped the audit has no slides.

    Example:
        >>> audit = tw.audit(tw.Cohort.discover("my_cohort"))
        >>> audit.findings.to_frame().columns.tolist()
        ['slide', 'kind', 'other', 'proposal', 'confidence', 'evidence', 'value']
    """
    from tilewise.auditing.audit_cohort import AuditOptions, audit_cohort
    from tilewise.errors import UsageError

    cohort = to_cohort(cohort, "train", "predict")
    other = None if against is None else to_cohort(against, "predict", "train")
    if other is not None and {item.path.resolve() for item in cohort.slides} & {
        item.path.resolve() for item in other.slides
    }:
        raise UsageError(
            f"--against {other.root}: some of these are the very files that are audited; name other slides"
        )
    options = AuditOptions(
        out=to_path(out), decisions=to_path(decisions), against=other, may_be_empty=True, workers=workers
    )
    config = to_recipe(recipe).audit
    cohorts = [cohort] if other is None else [cohort, other]
    if options.out is None:
        with use_executor(executor, workers=workers, reads=files_of(*cohorts)):
            return audit_cohort(cohort, config, options)
    from tilewise.auditing.table import FINDINGS_NAME
    from tilewise.cohort.inputs import inputs_of
    from tilewise.reporting.audit import write_audit_report
    from tilewise.run_folder import RunFolder
    from tilewise.store import check_out

    # Decisions that a person edited are read and kept by the audit itself.
    inputs = inputs_of(*cohorts)
    check_out(options.out, mark=FINDINGS_NAME, contents="report and tables", inputs=inputs, may_be_edited=True)
    with (
        use_executor(executor, workers=workers, reads=files_of(*cohorts), writes=[options.out]),
        RunFolder(options.out).locked(),
    ):
        audited = audit_cohort(cohort, config, options)
        others = None if audited.origin is None else audited.origin.others
        write_audit_report(options.out, audited, cohort=cohort, others=others, workers=workers)
    return audited


@checked
def similar(
    cohort: Cohort | Path | str,
    to: Path | str,
    *,
    encoder: str | None = None,
    top: int = 12,
    out: Path | str | None = None,
    workers: int | None = None,
    offline: bool = False,
) -> SimilarSlides:
    """Find the slides of a cohort that look most like a slide or a picture.

    Args:
        cohort: what was discovered, or a folder or table to discover; it needs no labels.
        to: the name of one of its slides, or the path of any picture.
        encoder: one of the catalogue; None takes the first of `tilewise.auditing.similar.PREFERRED` whose weights are
            here, else `texture`.
        top: how many slides.
        out: an HTML page with their pictures; None writes nothing.
        workers: processes; None takes every processor.
        offline: never reach for the network.

    Raises:
        UsageError: `to` is neither a slide nor a file, or no slide can be compared.
        SlideError: the example cannot be read.
        EncoderUnavailable: the encoder's weights are not here.

    Example:
        >>> result = tw.api.similar("my_cohort", "img_0000.png", encoder="texture", top=3)
        >>> len(result.neighbours)
        3
    """
    from tilewise.auditing.similar import choose_encoder, find_similar
    from tilewise.encoders import EncoderConfig, build_encoder

    cohort = to_cohort(cohort, "train", "predict")
    if out is not None:
        from tilewise.cohort.inputs import inputs_of
        from tilewise.reporting.templates import is_page_of
        from tilewise.store import check_out_file

        check_out_file(
            Path(out), is_own=is_page_of("similar"), contents="page of similar slides", inputs=inputs_of(cohort)
        )
    config = EncoderConfig(name=encoder or choose_encoder())
    built = build_encoder(config, offline=offline, workers=workers)
    result = find_similar(cohort, to, encoder=built, top=top, workers=workers)
    if out is not None:
        from tilewise.reporting.similar import write_similar_report

        write_similar_report(Path(out), result, cohort=cohort, workers=workers)
    return result


@checked
def segment(  # noqa: PLR0913 - one argument per option of the command, all by name
    cohort: AuditedCohort | Cohort | Path | str,
    recipe: Recipe | Mapping[str, Any] | Path | str = DEFAULT,
    *,
    out: Path | str | None = None,
    seed: int = 0,
    decisions: Path | str | None = None,
    workers: int | None = None,
    executor: ExecutorName | None = None,
    offline: bool = False,
) -> Segmentation:
    """Make region masks for the slides of a cohort; nothing in its folder is changed. A stopped call is resumed.

    Args:
        cohort: an audit with the recipe's `audit` section, what was discovered, or a folder or table to discover; it
            needs no labels.
        recipe: a recipe, a packaged name, a YAML file, or keys as in one; its `audit` and `segment` sections count.
        out: folder for masks, `segment.json`, `segment.html` and the `cohort.csv` to train with; None writes nothing.
        seed: of everything random; 0 is a seed.
        decisions: a decisions.csv of an audit that a person edited.
        workers: processes; None takes every processor. Results do not depend on it.
        executor: `local` or `ray`, a cluster (docs/how-to/ray.md); None takes `$TILEWISE_EXECUTOR`, else `local`.
            Results do not depend on it.
        offline: never reach for the network.

    Raises:
        UsageError: `segment.method` is none or cannot be used here, or `out` holds something else.
        TrainingError: training could not go on.

    Example:
        >>> recipe = tw.load_recipe("default").with_(**{"segment.method": "tissue"})
        >>> len(tw.api.segment("my_cohort", recipe).cohort.slides)
        12
    """
    from tilewise.cohort.inputs import inputs_of
    from tilewise.pipeline.shared_stages import Resources
    from tilewise.run_folder import RunFolder
    from tilewise.segment.output import SUMMARY, write_output
    from tilewise.segment.segment_cohort import segment_cohort
    from tilewise.store import check_out

    chosen, folder = to_recipe(recipe), to_path(out)
    resources = Resources(workers, offline)
    shared = to_stages(cohort, "train", "predict", audit=chosen.audit, decisions=decisions, resources=resources)
    if folder is not None:
        check_out(folder, mark=SUMMARY, contents="masks", inputs=inputs_of(shared.cohort))
    with use_executor(executor, workers=workers, reads=files_of(shared.cohort)):
        audited = shared.audit(chosen.audit)
        made = segment_cohort(audited, chosen.segment, seed=seed, workers=workers, offline=offline)
        if folder is not None:
            with RunFolder(folder).locked():
                write_output(folder, made, shared.cohort, chosen.segment, seed=seed, workers=workers)
    return made


@checked
def tiles(
    cohort: AuditedCohort | Cohort | Path | str,
    recipe: Recipe | Mapping[str, Any] | Path | str = DEFAULT,
    *,
    out: Path | str | None = None,
    preview: Path | str | None = None,
    decisions: Path | str | None = None,
    workers: int | None = None,
    executor: ExecutorName | None = None,
) -> tuple[TileSet, tuple[Failure, ...]]:
    """Audit a cohort and cut it into tiles, without encoding them; also the slides that fail or yield no tile.

    Args:
        cohort: an audit with the recipe's `audit` section, what was discovered, or a folder or table to discover; it
            needs no labels.
        recipe: a recipe, a packaged name, a YAML file, or keys as in one; its `audit` and `tiles` sections count.
        out: Parquet table with a row for each tile; None writes nothing.
        preview: an HTML page with the tiles drawn on the slides; None writes nothing.
        decisions: a decisions.csv of an audit that a person edited.
        workers: processes; None takes every processor.
        executor: `local` or `ray`, a cluster (docs/how-to/ray.md); None takes `$TILEWISE_EXECUTOR`, else `local`.
            Results do not depend on it.

    Raises:
        CohortError: the decisions have faults, or no slide is left.
        NoTiles: not one slide yields a tile, and no preview is asked for that would show why.

    Example:
        >>> recipe = tw.load_recipe("default").with_(**{"tiles.size_px": 32})
        >>> tiles, failures = tw.api.tiles("my_cohort", recipe)
        >>> len(tiles.counts()), failures
        (12, ())
    """
    from tilewise.cohort.inputs import inputs_of
    from tilewise.pipeline.shared_stages import Resources
    from tilewise.reporting.templates import is_page_of
    from tilewise.store import check_out_file
    from tilewise.tiles.tile_cohort import tile_cohort, without_tiles
    from tilewise.tiles.tileset import TileSet

    chosen, resources = to_recipe(recipe), Resources(workers)
    shared = to_stages(cohort, "train", "predict", audit=chosen.audit, decisions=decisions, resources=resources)
    inputs = inputs_of(shared.cohort)
    if out is not None:
        check_out_file(Path(out), is_own=TileSet.is_table, contents="table of tiles", inputs=inputs)
    if preview is not None:
        check_out_file(Path(preview), is_own=is_page_of("tiles"), contents="preview", inputs=inputs, option="--preview")
    with use_executor(executor, workers=workers, reads=files_of(shared.cohort)):
        audited = shared.audit(chosen.audit)
        cut, failures = tile_cohort(audited, chosen.tiles, out=to_path(out), workers=workers, require=preview is None)
        failures = (*audited.failures, *failures)
        if preview is not None:
            from tilewise.reporting.tiles import PreviewInput, write_tiles_preview

            preview_input = PreviewInput(audited, shared.cohort.root, cut, chosen.tiles, failures)
            write_tiles_preview(Path(preview), preview_input, workers=workers)
    return cut, (*failures, *without_tiles(audited, cut, chosen.tiles))
