"""`tilewise predict`: a run and a folder of slides in, a submission out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tilewise.cli.options import (
    EXIT_FAILED,
    ExecutorOption,
    JsonOption,
    OfflineOption,
    QuietOption,
    RunArgument,
    WorkersOption,
)
from tilewise.wording import count

_WARNINGS_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predict", epilog="Example: tilewise predict runs/first my_cohort/test_data --out submission.csv")(
        predict
    )


def predict(
    run: RunArgument,
    slides: Annotated[
        Path,
        typer.Argument(
            metavar="SLIDES",
            help="Folder or table of slides, or of features for a run on such; a cohort's test_data is found inside.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The submission table; details go beside it.")],
    workers: WorkersOption = None,
    executor: ExecutorOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Classify slides with a trained run and write a submission with one row per slide.

    Beside OUT, a file ending in .details.csv holds probabilities, number of tiles and warnings, and where the table
    names groups (patients), one ending in .groups.csv a row for each. A slide that cannot be
    read or yields no tile still gets a row (the commonest class), is flagged, and makes the command end with 1.
    """
    from tilewise import api
    from tilewise.cli.console import note_lines, print_result, progress

    with progress(quiet=quiet):
        result = api.predict(run, slides, out=out, workers=workers, executor=executor, offline=offline)
    warnings = result.folded_warnings()
    for warning in warnings[:_WARNINGS_SHOWN]:
        typer.echo(f"warning: {warning}", err=True)
    if len(warnings) > _WARNINGS_SHOWN:
        more = count(len(warnings) - _WARNINGS_SHOWN, "more kind")
        typer.echo(f"... and {more} of warnings; {result.details} has them all", err=True)
    counts, unclassified, copies = result.counts(), result.unclassified(), result.copies_of_training()
    lines = [f"{count(len(result.table) - len(unclassified), 'slide')} classified"]
    lines += [f"  {name:<22} {num}" for name, num in counts.items()]
    if unclassified:
        lines.append(f"{len(unclassified)} NOT classified, filled in with the commonest class of the training cohort")
    if copies:
        lines.append(f"{len(copies)} with the pixels of training slides: ignore their predictions")
    text = "\n".join([*lines, *note_lines(result.slide_notes), f"submission: {out}", f"details: {result.details}"])
    payload = {
        "submission": str(out),
        "details": str(result.details),
        "num_slides": len(result.table),
        "predicted": counts,
        "unclassified": list(unclassified),
        "copies_of_training": list(copies),
        "warnings": list(result.warnings),
        "failures": [failure.__dict__ for failure in result.failures],
        "slide_notes": [kind.to_json() for kind in result.slide_notes],
    }
    print_result(payload, text, as_json=as_json)
    return EXIT_FAILED if result.failures or unclassified else 0
