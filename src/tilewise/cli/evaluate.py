"""`tilewise evaluate`: the scores of a run."""

from __future__ import annotations

import typer

from tilewise.cli.options import JsonOption, RunArgument


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate", epilog="Example: tilewise evaluate runs/first --json | jq .out_of_fold.macro_f1")(evaluate)


def evaluate(run: RunArgument, as_json: JsonOption = False) -> None:
    """Score a run's predictions again: every metric with its interval, beside guessing."""
    from tilewise import api
    from tilewise.cli.console import print_result
    from tilewise.cli.scores import score_lines

    evaluation = api.evaluate(run)
    print_result(evaluation.to_json(), "\n".join(score_lines(evaluation, details=True)), as_json=as_json)
