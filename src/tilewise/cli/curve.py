"""`tilewise curve`: would more slides help?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tilewise.cli.options import (
    CohortArgument,
    ExecutorOption,
    JsonOption,
    LabelColumnOption,
    LabelsOption,
    OfflineOption,
    QuietOption,
    RunArgument,
    SlideTableOption,
    WorkersOption,
    label_tables,
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "curve",
        epilog="Examples:\n\ntilewise curve runs/first my_cohort --out curves/first\n\n"
        "tilewise curve runs/first my_cohort --out curves/first --share 0.3 --share 0.6 --draws 5\n\n"
        "The same command again goes on where a stopped one ended.",
    )(curve)


def curve(
    run: RunArgument,
    cohort: CohortArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder for curve.html, curve.json and a run for each point.")],
    labels: LabelsOption = None,
    slide_table: SlideTableOption = None,
    label_column: LabelColumnOption = None,
    shares: Annotated[
        list[float],
        typer.Option(
            "--share", help="Share of the run's groups to learn from, of every class two at least; may be repeated."
        ),
    ] = [0.25, 0.4, 0.6, 0.8],  # noqa: B006 - typer reads the default, nobody changes it
    draws: Annotated[int, typer.Option("--draws", min=1, help="Trainings at each share, with other slides.")] = 3,
    workers: WorkersOption = None,
    executor: ExecutorOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Train a run's recipe with fewer slides and say whether more of them would help.

    Audit, tiles and features come from the cache; test parts stay whole, so that points can be compared.
    """
    from dataclasses import asdict

    from tilewise import api
    from tilewise.cli.console import print_result, progress

    tables = label_tables(labels, slide_table, label_column)
    with progress(quiet=quiet):
        made = api.learning_curve(
            run,
            cohort,
            out=out,
            labels=tables,
            shares=shares,
            num_draws=draws,
            workers=workers,
            executor=executor,
            offline=offline,
        )
    payload = {
        "metric": made.metric,
        "sentence": made.sentence(),
        "points": [asdict(point) for point in made.points],
        "expected": asdict(made.expected),
        "page": str(made.page),
    }
    print_result(payload, f"{made.sentence()}\ncurve: {made.page} (open it in a browser)", as_json=as_json)
    return 0
