"""`tilewise report`: the HTML report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tilewise.cli.options import JsonOption, RunArgument


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report", epilog="Example: tilewise report runs/first --out first.html")(report)


def report(
    run: RunArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write it; default: report.html in the run.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a run's report again, as one self-contained HTML file."""
    from tilewise import api
    from tilewise.cli.console import print_result

    path = api.report(run, out=out)
    print_result({"report": str(path)}, str(path), as_json=as_json)
