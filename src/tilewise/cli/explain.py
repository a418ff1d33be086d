"""`tilewise explain`: where on the slides a run sees its class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tilewise.cli.options import EXIT_FAILED, JsonOption, OfflineOption, QuietOption, RunArgument, WorkersOption
from tilewise.wording import count

_WARNINGS_SHOWN = 20
_EXAMPLES = (
    "Examples: tilewise explain runs/first my_cohort/test_data --out maps; tilewise explain runs/first my_cohort --out "
    "maps --slides img_0003.png --slides img_0007.png --class Malignant"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain", epilog=_EXAMPLES)(explain)


def explain(
    run: RunArgument,
    slides: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Folder or table of slides; a cohort's test_data is found inside it."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the pictures, explain.csv and explain.html.")],
    only: Annotated[
        list[str], typer.Option("--slides", metavar="ID", help="Draw this slide alone; may be repeated.")
    ] = [],  # noqa: B006 - typer reads the default, nobody changes it
    class_name: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="Class to draw. Default: the one predicted.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Draw so many slides at most.")] = None,
    workers: WorkersOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Draw where on the slides a trained run sees a class: tile by tile, and inside the tiles where it can be said.

    Every run: probabilities of tiles. Networks on pixels: Grad-CAM, by the library grad-cam (pip install
    'tilewise[explain]'). Heads that weigh tiles: their attention. Where a run looked is not why it decided. Ends with 1
    when a slide has no map.
    """
    from tilewise import api
    from tilewise.cli.console import note_lines, print_result, progress
    from tilewise.cohort import Cohort
    from tilewise.explain.config import ExplainConfig

    config = ExplainConfig(slides=tuple(only), class_name=class_name, limit=limit)
    with progress(quiet=quiet):
        result = api.explain(
            run, Cohort.discover(slides, purpose="predict"), out=out, config=config, workers=workers, offline=offline
        )
    for warning in result.warnings[:_WARNINGS_SHOWN]:
        typer.echo(f"warning: {warning}", err=True)
    if len(result.warnings) > _WARNINGS_SHOWN:
        typer.echo(f"... and {len(result.warnings) - _WARNINGS_SHOWN} more; {result.page} has them all", err=True)
    lines = [f"{count(len(result.pictures), 'slide')} drawn"]
    lines += [f"{len(result.without)} without a map"] if result.without else []
    lines += note_lines(result.slide_notes)
    lines += [f"page: {result.page}", f"tiles: {result.table}"]
    payload = {
        "page": str(result.page),
        "table": str(result.table),
        "pictures": {name: str(path) for name, path in result.pictures.items()},
        "drawn": dict(result.drawn),
        "without": dict(result.without),
        "warnings": list(result.warnings),
        "failures": [failure.__dict__ for failure in result.failures],
        "slide_notes": [kind.to_json() for kind in result.slide_notes],
    }
    print_result(payload, "\n".join(lines), as_json=as_json)
    return EXIT_FAILED if result.failures or result.without else 0
