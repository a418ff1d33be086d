"""`tilewise tune` and `tilewise spaces`: settings of a recipe, searched by validation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tilewise.cli.completion import complete_recipe, complete_space
from tilewise.cli.options import (
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
        "tune",
        epilog="Examples:\n\ntilewise tune my_cohort --space heads --trials 50 --out searches/heads\n\n"
        "tilewise tune my_cohort --space heads --trials 50 --out searches/heads --dry-run\n\n"
        "tilewise tune my_cohort --recipe my.yaml --space space.yaml --time-limit 2h --out searches/mine\n\n"
        "The same command again goes on where a stopped one ended; given in several terminals at once, they share the "
        "trials. `tilewise spaces` lists the spaces that come with it.",
    )(tune)
    app.command("spaces", epilog="Example: tilewise spaces heads > space.yaml")(spaces)


def tune(
    cohort: CohortArgument,
    space: Annotated[
        str, typer.Option("--space", autocompletion=complete_space, help="A packaged space's name or a YAML file.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the search; the same again resumes it.")],
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            autocompletion=complete_recipe,
            help="What is varied: a packaged recipe or a YAML file; else the space's own.",
        ),
    ] = None,
    labels: LabelsOption = None,
    slide_table: SlideTableOption = None,
    label_column: LabelColumnOption = None,
    trials: Annotated[int, typer.Option("--trials", min=1, help="In all; more can be asked for later.")] = 50,
    set_: SetOption = [],  # noqa: B006 - typer reads the default, nobody changes it
    seed: SeedOption = 0,
    decisions: DecisionsOption = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = None,
    offline: StandInOption = False,
    time_limit: Annotated[
        str | None,
        typer.Option("--time-limit", metavar="TIME", help="Begin no trial that would end after 90s, 20m or 1h."),
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Search settings of a recipe by validation, and score the winner once on slides that the search never saw."""
    from tilewise import api
    from tilewise.cli.console import print_result, progress
    from tilewise.cli.estimates import estimate_text, refuse_features
    from tilewise.interchange.folder import is_feature_folder
    from tilewise.recipe import DEFAULT
    from tilewise.tuning.space import load_space

    chosen = api.load_recipe(recipe or load_space(space).recipe or DEFAULT, set_)
    tables = label_tables(labels, slide_table, label_column)
    if dry_run:
        if tables is not None or is_feature_folder(cohort):
            refuse_features(cohort)
        with progress(quiet=quiet):
            estimate = api.estimate_tuning(
                cohort,
                space,
                chosen,
                out=out,
                num_trials=trials,
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
        tuned = api.tune(
            cohort,
            space,
            chosen,
            out=out,
            labels=tables,
            num_trials=trials,
            seed=seed,
            decisions=decisions,
            workers=workers,
            executor=executor,
            offline=offline,
            time_limit=time_limit,
        )
    payload = {"search": str(out), "page": str(tuned.page), **tuned.to_json()}
    lines = [*tuned.sentences(), f"winner: {tuned.run.folder.root}", f"search: {tuned.page} (open it in a browser)"]
    print_result(payload, "\n".join(lines), as_json=as_json)
    return 0


def spaces(
    name: Annotated[str | None, typer.Argument(help="Print this space instead.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the spaces that come with tilewise, or print one of them."""
    from tilewise.cli.console import print_result
    from tilewise.tuning.space import load_space, packaged_spaces

    if name is not None:
        space = load_space(name)
        payload = {"name": space.name, "keys": [parameter.name for parameter in space.parameters]}
        print_result(payload, packaged_spaces().get(name, Path(name).name), as_json=as_json)
        return
    descriptions = {one: load_space(one).description for one in packaged_spaces()}
    rows = [{"name": one, "description": text} for one, text in descriptions.items()]
    print_result(
        {"spaces": rows}, "\n".join(f"{one:<22} {text}" for one, text in descriptions.items()), as_json=as_json
    )
