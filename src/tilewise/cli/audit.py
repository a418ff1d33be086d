"""`tilewise audit`: what is wrong with a cohort."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tilewise.cli.options import (
    CohortArgument,
    ExecutorOption,
    JsonOption,
    QuietOption,
    RecipeOption,
    SetOption,
    WorkersOption,
)
from tilewise.wording import count

if TYPE_CHECKING:
    from tilewise.auditing.cohort import AuditedCohort

_EXAMPLES = (
    "Examples:\n\ntilewise audit my_cohort --out audit\n\n"
    "tilewise train my_cohort --decisions audit/decisions.csv --out runs/first\n\n"
    "tilewise audit train_slides --against test_slides --out audit\n\n"
    "tilewise audit my_cohort --set audit.ink=drop --out audit"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("audit", epilog=_EXAMPLES)(audit)


def audit(
    cohort: CohortArgument,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for report.html, decisions.csv, findings.parquet and repaired/.")
    ],
    recipe: RecipeOption = "default",
    set_: SetOption = [],  # noqa: B006 - typer reads the default, nobody changes it
    decisions: Annotated[
        Path | None, typer.Option("--decisions", exists=True, help="Decisions that win over proposals.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="COHORT", help="Another cohort (test slides) that must share no slide."),
    ] = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Look for faults in a cohort and propose what to do about each; the cohort's folder is never changed.

    Found are copies (exact, changed, in another cohort), drawings in the place of tissue, other stains, ink, masks of
    no use, blurred, blank or damaged slides, and what the table gets wrong. Slides of one block or copy share a group.
    Ends with 0 whatever is found, also where every slide is a copy and none is left; with 2 where none can be read.
    """
    from tilewise import api
    from tilewise.cli.console import note_lines, print_result, progress
    from tilewise.cohort.cohort import discover_any

    source = discover_any(cohort, ("train", "predict"))
    if not quiet:
        typer.echo(
            "\n".join(f"{cohort.name}: {note}" for note in source.notes if note not in source.warnings), err=True
        )
    for warning in source.warnings:
        typer.echo(f"warning: {cohort.name}: {warning}", err=True)
    with progress(quiet=quiet):
        audited = api.audit(
            source,
            api.load_recipe(recipe, set_),
            out=out,
            decisions=decisions,
            against=against,
            workers=workers,
            executor=executor,
        )
    payload = {
        "findings": [asdict(finding) for finding in audited.findings],
        "decisions": audited.actions(),
        "groups": dict(audited.groups),
        "slide_notes": [kind.to_json() for kind in audited.slide_notes()],
    }
    text = [
        *_lines(audited),
        *note_lines(audited.slide_notes()),
        f"report       {out / 'report.html'}",
        f"decisions    {out / 'decisions.csv'}",
    ]
    if not audited.slides:
        text.append("No slide is left to train on; the report shows why, decisions.csv is where to overrule it.")
    # A slide that cannot be read is what an audit is for: it is found, and the audit has not failed.
    print_result(payload, "\n".join(text), as_json=as_json)
    return 0


def _lines(audited: AuditedCohort) -> Iterator[str]:
    counts = Counter((finding.kind, finding.proposed) for finding in audited.findings)
    for (kind, proposal), num in sorted(counts.items()):
        yield f"{kind:<20} {proposal:<16} {num}"
    repaired = sum(bool(item.repaired) for item in audited.slides)
    yield f"{count(len(audited.slides), 'slide')} kept, {repaired} of them repaired, {len(audited.dropped)} dropped"
    if sentence := audited.inverted_masks():
        yield sentence
    labels = Counter(str(item.slide.label) for item in audited.slides if item.slide.label is not None)
    if labels:
        yield "kept         " + ", ".join(f"{label} {num}" for label, num in sorted(labels.items()))
    yield from filter(None, (audited.leakage(), audited.families()))
