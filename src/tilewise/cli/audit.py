"""`tilewise audit`: what is wrong with a cohort."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tilewise.cli.options import (
    EXIT_FAILED,
    CohortArgument,
    JsonOption,
    QuietOption,
    RecipeOption,
    SetOption,
    WorkersOption,
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("audit", epilog="Example: tilewise audit my_cohort --out audit && tilewise train my_cohort "
                "--decisions audit/decisions.csv --out runs/first")(audit)  # fmt: skip


def audit(
    cohort: CohortArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder for findings.parquet and decisions.csv.")],
    recipe: RecipeOption = "default",
    set_: SetOption = [],  # noqa: B006 - typer reads the default, nobody changes it
    decisions: Annotated[Path | None, typer.Option("--decisions", help="Decisions that win over proposals.")] = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Look for faults in a cohort and propose what to do about each; the cohort's folder is never changed."""
    from tilewise import api
    from tilewise.cli.console import print_result, progress
    from tilewise.cohort import Cohort

    with progress(quiet=quiet):
        audited = api.audit(
            Cohort.discover(cohort), api.load_recipe(recipe, set_), out=out, decisions=decisions, workers=workers
        )
    payload = {
        "findings": [asdict(finding) for finding in audited.findings],
        "decisions": audited.actions(),
        "groups": audited.groups(),
    }
    counts = Counter((finding.kind, finding.proposal) for finding in audited.findings)
    lines = [f"{kind:<16} {proposal:<9} {count}" for (kind, proposal), count in sorted(counts.items())]
    text = "\n".join([*lines, f"{len(audited.slides)} slides kept, {len(audited.dropped)} dropped", audited.leakage()])
    print_result(payload, f"{text}\ndecisions    {out / 'decisions.csv'}", as_json=as_json)
    return EXIT_FAILED if any(finding.kind == "unreadable" for finding in audited.findings) else 0
