"""`tilewise ensemble`: finished runs in, one run out that combines them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tilewise.cli.options import JsonOption, QuietOption, SeedOption
from tilewise.ensemble.methods import Method


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ensemble", epilog="Example: tilewise ensemble runs/first runs/wide --method weighted --out runs/both")(
        ensemble
    )


def ensemble(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of two or more runs of the same cohort and folds.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the combined run; predict and report take it.")],
    method: Annotated[
        Method,
        typer.Option(
            "--method",
            help="average: plain mean. weighted: weights with the least log loss. greedy: bagged selection for macro "
            "F1. stack-logistic: softmax regression. stack-boosting, stack-boosting-ovr: LightGBM, for all classes "
            "together or one against the others.",
        ),
    ] = "average",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Combine runs of the same folds into one run, scored as honestly as each of them.

    Everything is fitted on the validation parts: for each fold on that fold's alone. Test parts are only scored.
    """
    from tilewise import api
    from tilewise.cli.console import print_result
    from tilewise.cli.scores import score_lines

    run = api.ensemble(list(runs), method, out=out, seed=seed)
    for warning in run.warnings:
        typer.echo(f"note: {warning}", err=True)
    if run.was_finished and not quiet:
        typer.echo(f"{run.folder.root} was finished already, from the same runs; nothing had to be done", err=True)
    payload = {
        "run": str(run.folder.root),
        "report": str(run.folder.report),
        "method": method,
        "warnings": list(run.warnings),
        **run.evaluation.to_json(),
    }
    text = "\n".join([*score_lines(run.evaluation), f"report: {run.folder.report} (open it in a browser)"])
    print_result(payload, text, as_json=as_json)
