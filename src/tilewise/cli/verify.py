"""`tilewise verify`: is a run as it was written?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tilewise.cli.options import (
    EXIT_FAILED,
    DecisionsOption,
    JsonOption,
    OfflineOption,
    QuietOption,
    RunArgument,
    WorkersOption,
)

if TYPE_CHECKING:
    from tilewise.pipeline.repair_run import RunRepair


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify", epilog="Examples:\n\ntilewise verify runs/first\n\ntilewise verify runs/first --repair")(
        verify
    )


def verify(
    run: RunArgument,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Make what is missing or changed again; changed tables, recipes and pictures are kept beside the new "
            "ones, as NAME.DATE.SUFFIX.",
        ),
    ] = False,
    decisions: DecisionsOption = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="Of --repair: the table of labels, where the run was trained on features."),
    ] = None,
    workers: WorkersOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Compare every file of a run with its manifest; ends with 1 when one is missing or changed.

    --repair trains on from what is whole, from the cohort where it was; without it nothing is changed.
    """
    from tilewise import api
    from tilewise.cli.console import print_result, progress

    if repair:
        with progress(quiet=quiet):
            repaired = api.repair(run, decisions=decisions, labels=labels, workers=workers, offline=offline)
        payload = {
            "run": str(run),
            "sound": not repaired.lost,
            "damage": [item.__dict__ for item in repaired.damage],
            "remade": list(repaired.remade),
            "differing": list(repaired.differing),
            "lost": list(repaired.lost),
            "copies": {name: str(path) for name, path in repaired.copies.items()},
        }
        text = "\n".join(_lines(repaired)) or f"{run}: every file is as it was written"
        print_result(payload, text, as_json=as_json)
        return EXIT_FAILED if repaired.lost else 0
    damage = api.verify(run)
    sound = all(item.what == "unlisted" for item in damage)
    lines = [f"{item.what:<9} {item.path}" for item in damage] or [f"{run}: every file is as it was written"]
    payload = {"run": str(run), "sound": sound, "damage": [item.__dict__ for item in damage]}
    print_result(payload, "\n".join(lines), as_json=as_json)
    if not sound and not quiet:
        typer.echo(f"`tilewise verify {run} --repair` makes them again", err=True)
    return 0 if sound else EXIT_FAILED


def _lines(repaired: RunRepair) -> Iterator[str]:
    for name in repaired.remade:
        yield f"remade    {name}"
    for name in repaired.differing:
        yield f"differs   {name} (made again by another tilewise, library or machine)"
    for name in repaired.lost:
        yield f"lost      {name} (training does not make it; `tilewise curve` makes a learning curve again)"
    for name, copy in repaired.copies.items():
        yield f"kept      {name} as {copy.name}, in case somebody edited it"
