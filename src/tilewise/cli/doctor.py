"""`tilewise doctor`: what is here, what is missing, and how to get it."""

from __future__ import annotations

from typing import Annotated

import typer

from tilewise.cli.options import EXIT_FAILED, JsonOption

_MARKS = {"ok": " ok ", "missing": "  - ", "fault": "FAULT"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog="Examples:\n\ntilewise doctor\n\ntilewise doctor --measure --json > machine.json")(
        doctor
    )


def doctor(
    measure: Annotated[
        bool, typer.Option("--measure", help="Time the default network with every engine; takes seconds.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Say what this machine has for tilewise, what it lacks, and how to get it; ends with 1 at a fault.

    Nothing is fetched or changed.
    """
    from dataclasses import asdict

    from tilewise import api
    from tilewise.cli.console import print_result

    checks = api.doctor(measure=measure)
    lines: list[str] = []
    for topic in dict.fromkeys(check.topic for check in checks):
        lines += ["", topic] if lines else [topic]
        for check in checks:
            if check.topic == topic:
                lines.append(f"  {_MARKS[check.state]:<6} {check.name:<20} {check.text}")
                lines += [f"{'':30}{check.advice}"] if check.advice else []
    sound = all(check.state != "fault" for check in checks)
    print_result({"sound": sound, "checks": [asdict(check) for check in checks]}, "\n".join(lines), as_json=as_json)
    return 0 if sound else EXIT_FAILED
