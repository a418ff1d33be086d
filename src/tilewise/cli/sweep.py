"""`tilewise sweep` and `tilewise grids`: variants of a recipe on the same folds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tilewise.cli.completion import complete_grid, complete_recipe
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
    SeedOption,
    SetOption,
    SlideTableOption,
    StandInOption,
    WorkersOption,
    label_tables,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "sweep",
        epilog="Examples:\n\ntilewise sweep my_cohort --grid heads --out sweeps/heads\n\n"
        "tilewise sweep my_cohort --grid heads --out sweeps/heads --dry-run\n\n"
        "tilewise sweep my_cohort --recipe my.yaml --grid my_grid.yaml --set training.epochs=10 --out sweeps/mine\n\n"
        "The same command again goes on where a stopped one ended. `tilewise grids` lists the grids that come with it.",
    )(sweep)
    app.command("grids", epilog="Example: tilewise grids heads > my_grid.yaml")(grids)


def sweep(
    cohort: CohortArgument,
    grid: Annotated[
        str, typer.Option("--grid", autocompletion=complete_grid, help="A packaged grid's name or a YAML file.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the sweep; the same again resumes it.")],
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            autocompletion=complete_recipe,
            help="What is varied: a packaged recipe or a YAML file; else the grid's own.",
        ),
    ] = None,
    labels: LabelsOption = None,
    slide_table: SlideTableOption = None,
    label_column: LabelColumnOption = None,
    set_: SetOption = [],  # noqa: B006 - typer reads the default, nobody changes it
    seed: SeedOption = 0,
    decisions: DecisionsOption = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = None,
    offline: StandInOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Train variants of a recipe on the same folds and compare them: one table, each row held against the first.

    What variants share is made once. Ends with 1 when a variant or a slide in one failed.
    """
    from tilewise import api
    from tilewise.cli.console import print_failures, print_result, progress
    from tilewise.cli.estimates import estimate_text, refuse_features
    from tilewise.interchange.folder import is_feature_folder
    from tilewise.sweep.grid import load_grid
    from tilewise.sweep.page import notices

    chosen = load_grid(grid).over(recipe, set_)
    tables = label_tables(labels, slide_table, label_column)
    if dry_run:
        if tables is not None or is_feature_folder(cohort):
            refuse_features(cohort)
        with progress(quiet=quiet):
            estimate = api.estimate_sweep(
                cohort,
                chosen,
                out=out,
                seed=seed,
                decisions=decisions,
                workers=workers,
                executor=executor,
                offline=offline,
            )
        print_result(estimate.to_json(), estimate_text(estimate), as_json=as_json)
        return 0
    with progress(quiet=quiet):
        made = api.sweep(
            cohort,
            chosen,
            out=out,
            labels=tables,
            seed=seed,
            decisions=decisions,
            workers=workers,
            executor=executor,
            offline=offline,
        )
    payload = {
        "sweep": str(out),
        "page": str(made.page),
        "metric": made.table.metric,
        "notices": notices(made.table.rows),
        "chosen": None if made.table.chosen is None else made.table.chosen.name,
        "choice": None if made.table.choice is None else asdict(made.table.choice),
        "num_slides": made.table.num_slides,
        "rows": [row.to_json() for row in made.table.rows],
        "failures": [failure.__dict__ for failure in made.failures],
    }
    print_result(payload, "\n".join([*made.lines(), f"table: {made.page} (open it in a browser)"]), as_json=as_json)
    for row in made.table.rows:
        if row.error is not None:
            typer.echo(f"error: variant {row.name}: {row.error}", err=True)
    failures = made.failures
    if failures:
        print_failures(failures, out / "variants" / "*" / "failures.csv")
    return EXIT_FAILED if failures or any(row.error is not None for row in made.table.rows) else 0


def grids(
    name: Annotated[str | None, typer.Argument(help="Print this grid instead.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the grids that come with tilewise, or print one of them."""
    from tilewise.cli.console import print_result
    from tilewise.sweep.grid import load_grid, packaged_grids

    if name is not None:
        grid = load_grid(name)
        print_result(grid.model_dump(mode="json"), packaged_grids().get(name, Path(name).name), as_json=as_json)
        return
    descriptions = {one: load_grid(one).description for one in packaged_grids()}
    payload = {"grids": [{"name": one, "description": text} for one, text in descriptions.items()]}
    print_result(payload, "\n".join(f"{one:<22} {text}" for one, text in descriptions.items()), as_json=as_json)
