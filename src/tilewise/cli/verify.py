"""`tilewise verify`: is a run as it was written?"""

from __future__ import annotations

import typer

from tilewise.cli.options import EXIT_FAILED, JsonOption, RunArgument


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify", epilog="Example: tilewise verify runs/first")(verify)


def verify(run: RunArgument, as_json: JsonOption = False) -> int:
    """Compare every file of a run with its manifest; ends with 1 when one is missing or changed."""
    from tilewise import api
    from tilewise.cli.console import print_result

    damage = api.verify(run)
    sound = all(item.what == "unlisted" for item in damage)
    lines = [f"{item.what:<9} {item.path}" for item in damage] or [f"{run}: every file is as it was written"]
    payload = {"run": str(run), "sound": sound, "damage": [item.__dict__ for item in damage]}
    print_result(payload, "\n".join(lines), as_json=as_json)
    return 0 if sound else EXIT_FAILED
