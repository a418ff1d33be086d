"""`tilewise export`: a run's masks, tiles and predictions for QuPath, and its model card."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tilewise.cli.options import EXIT_FAILED, JsonOption, QuietOption, RunArgument


class Format(StrEnum):
    """What is written."""

    qupath = "qupath"
    model_card = "model-card"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "export",
        epilog="Examples:\n\ntilewise export runs/first --format qupath --out geojson\n\n"
        "tilewise export runs/first --format model-card --out card",
    )(export)


def export(
    run: RunArgument,
    format_: Annotated[
        Format, typer.Option("--format", help="qupath: GeoJSON of each slide; model-card: MODEL_CARD.md.")
    ],
    out: Annotated[Path, typer.Option("--out", help="New or empty folder.")],
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Write what a run knows of each slide as GeoJSON for QuPath, or the run's model card.

    qupath: how each slide was predicted, its mask, and its tiles. In QuPath, open the slide and drag its file onto it.

    model-card: Markdown with scores, training data and intended use; what a person has to fill in is marked.
    """
    from tilewise import api
    from tilewise.cli.console import print_result, progress
    from tilewise.wording import count

    if format_ is Format.model_card:
        card = api.model_card(run, out)
        print_result({"files": {"model card": str(card)}}, f"{card}: see `To fill in`", as_json=as_json)
        return 0
    with progress(quiet=quiet):
        result = api.export_run(run, out, "qupath")
    for failure in result.failures:
        typer.echo(f"failed: {failure.message}", err=True)
    payload = {
        "files": {name: str(path) for name, path in result.files.items()},
        "failures": [failure.__dict__ for failure in result.failures],
    }
    print_result(payload, f"{count(len(result.files), 'slide')} written for {format_.value}: {out}", as_json=as_json)
    return EXIT_FAILED if result.failures else 0
