"""`tilewise export`: a run's masks, tiles and predictions for QuPath."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tilewise.cli.options import EXIT_FAILED, JsonOption, QuietOption, RunArgument


class Format(StrEnum):
    """Programs whose files are written."""

    qupath = "qupath"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export", epilog="Example: tilewise export runs/first --format qupath --out geojson")(export)


def export(
    run: RunArgument,
    format_: Annotated[Format, typer.Option("--format", help="Whose files are written.")],
    out: Annotated[Path, typer.Option("--out", help="New or empty folder for a file of each slide.")],
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Write what a run knows of each slide: how it was predicted, its mask, and its tiles, as GeoJSON for QuPath.

    In QuPath, open the slide and drag its file onto it.
    """
    from tilewise import api
    from tilewise.cli.console import print_result, progress
    from tilewise.wording import count

    with progress(quiet=quiet):
        result = api.export_run(run, out, format_.value)
    for failure in result.failures:
        typer.echo(f"failed: {failure.message}", err=True)
    payload = {
        "files": {name: str(path) for name, path in result.files.items()},
        "failures": [failure.__dict__ for failure in result.failures],
    }
    print_result(payload, f"{count(len(result.files), 'slide')} written for {format_.value}: {out}", as_json=as_json)
    return EXIT_FAILED if result.failures else 0
