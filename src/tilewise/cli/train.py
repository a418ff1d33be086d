"""`tilewise train`: a cohort in, a run out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tilewise.cli.options import (
    EXIT_FAILED,
    CohortArgument,
    DecisionsOption,
    DryRunOption,
    ExecutorOption,
    JsonOption,
    LabelColumnOption,
    LabelsOption,
    QuietOption,
    RecipeOption,
    SeedOption,
    SetOption,
    SlideTableOption,
    StandInOption,
    WorkersOption,
    label_tables,
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "train",
        epilog="Examples:\n\ntilewise train my_cohort --out runs/first\n\n"
        "tilewise train my_cohort --recipe my.yaml --set tiles.size_px=256 --out runs/wide\n\n"
        "tilewise train features_uni_v1 --labels labels.csv --recipe small-cohort --out runs/uni\n\n"
        "tilewise train uni-0a1b2c3d --labels clini.csv --slide-table slide.csv --label-column MSI --out runs/msi\n\n"
        "The same command again resumes a run that was stopped.",
    )(train)


def train(
    cohort: CohortArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the run; the same again resumes it. Default: runs/COHORT-RECIPE."),
    ] = None,
    labels: LabelsOption = None,
    slide_table: SlideTableOption = None,
    label_column: LabelColumnOption = None,
    recipe: RecipeOption = "default",
    set_: SetOption = [],  # noqa: B006 - typer reads the default, nobody changes it
    seed: SeedOption = 0,
    decisions: DecisionsOption = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = None,
    offline: StandInOption = False,
    presets: Annotated[
        Literal["fast", "best"] | None,
        typer.Option("--presets", help="Of a recipe with a ladder: which rungs are tried, as `ladder.preset` says."),
    ] = None,
    time_limit: Annotated[
        str | None,
        typer.Option(
            "--time-limit",
            metavar="TIME",
            help="Of a recipe with a ladder: rungs that would take longer than 90s, 20m or 1h are not tried.",
        ),
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Audit a cohort, train by cross-validation, score out of fold, and write model and report.

    Ends with 1 when a slide failed or yields no tile (failures.csv names it): the run is whole, but not of the whole
    cohort.
    """
    from tilewise import api
    from tilewise.cli.console import note_lines, print_failures, print_result, progress
    from tilewise.cli.estimates import estimate_text, refuse_features
    from tilewise.cli.scores import ladder_lines, score_lines
    from tilewise.cohort import Cohort
    from tilewise.interchange.folder import is_feature_folder

    if presets is not None:
        set_ = [*set_, f"ladder.preset={presets}"]
    chosen = api.load_recipe(recipe, set_)
    source: Cohort | Path = cohort
    if labels is None and not is_feature_folder(cohort):
        source = Cohort.discover(cohort)
        if not quiet:
            typer.echo("\n".join(f"{cohort.name}: {note}" for note in source.notes), err=True)
    tables = label_tables(labels, slide_table, label_column)
    if dry_run:
        if source is cohort:
            refuse_features(cohort)
        with progress(quiet=quiet):
            estimate = api.estimate_run(
                source,
                chosen,
                out=out,
                seed=seed,
                decisions=decisions,
                workers=workers,
                executor=executor,
                offline=offline,
                time_limit=time_limit,
            )
        print_result(estimate.to_json(), estimate_text(estimate), as_json=as_json)
        return 0
    with progress(quiet=quiet):
        run = api.train(
            source,
            chosen,
            out=out,
            labels=tables,
            seed=seed,
            decisions=decisions,
            workers=workers,
            executor=executor,
            offline=offline,
            time_limit=time_limit,
        )
    identity = run.folder.read_identity()
    notes = identity["recipe"]["notes"]
    if source is cohort and not quiet:
        typer.echo("\n".join(f"{cohort.name}: {note}" for note in identity["notes"]), err=True)
    payload = {
        "run": str(run.folder.root),
        "report": str(run.folder.report),
        "notes": notes,
        "warnings": list(run.warnings),
        "failures": [failure.__dict__ for failure in run.failures],
        "slide_notes": [kind.to_json() for kind in run.slide_notes],
        "ladder": [choice.to_json() for choice in run.ladder],
        **run.evaluation.to_json(),
    }
    for warning in run.warnings[len(notes) :]:
        typer.echo(f"warning: {warning}", err=True)
    if run.was_finished and not quiet:
        typer.echo(f"{run.folder.root} was finished already, from the same slides; nothing had to be done", err=True)
    lines = [*notes, *note_lines(run.slide_notes), *ladder_lines(run.ladder), *score_lines(run.evaluation)]
    text = "\n".join([*lines, f"report: {run.folder.report} (open it in a browser)"])
    print_result(payload, text, as_json=as_json)
    if run.failures:
        print_failures(run.failures, run.folder.failures)
        return EXIT_FAILED
    return 0
