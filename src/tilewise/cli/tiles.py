"""`tilewise tiles`: which parts of the slides a recipe looks at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from tilewise.cli.options import (
    EXIT_FAILED,
    CohortArgument,
    DecisionsOption,
    JsonOption,
    QuietOption,
    RecipeOption,
    SetOption,
    WorkersOption,
)

if TYPE_CHECKING:
    from tilewise.tiles.tileset import TileSet

_EXAMPLES = (
    "Examples: tilewise tiles my_cohort --preview tiles.html; tilewise tiles my_cohort --set "
    "'tiles.strategy=[component_center, window]' --set tiles.size_px=224 --preview tiles.html --out tiles.parquet"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tiles", epilog=_EXAMPLES)(tiles)


def tiles(
    cohort: CohortArgument,
    recipe: RecipeOption = "default",
    set_: SetOption = [],  # noqa: B006 - typer reads the default, nobody changes it
    out: Annotated[Path | None, typer.Option("--out", help="Parquet table with a row for each tile.")] = None,
    preview: Annotated[
        Path | None, typer.Option("--preview", metavar="OUT.html", help="HTML page with the tiles drawn on the slides.")
    ] = None,
    decisions: DecisionsOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Cut a cohort's slides into tiles as a recipe says, without encoding them: to see what a recipe looks at.

    Ends with 1 when a slide cannot be read, or yields no tile although the recipe leaves none out.
    """
    from tilewise import api
    from tilewise.cli.console import print_result, progress

    with progress(quiet=quiet):
        found, failures = api.tiles(
            cohort, api.load_recipe(recipe, set_), out=out, preview=preview, decisions=decisions, workers=workers
        )
    payload = {
        "num_tiles": len(found.table),
        "tiles": found.counts(),
        "skipped": found.skipped,
        "fallbacks": found.fallbacks,
        "small_boxes": found.small_boxes,
        "dropped": found.dropped,
        "failures": [asdict(failure) for failure in failures],
        "out": str(out) if out else None,
        "preview": str(preview) if preview else None,
    }
    lines = [*_lines(found)]
    lines += [f"table        {out}"] if out else []
    lines += [f"preview      {preview}"] if preview else []
    unread = [failure for failure in failures if failure.item not in found.skipped]
    for failure in unread[:10]:
        typer.echo(f"failed: {failure.item}: {failure.message}", err=True)
    if len(unread) > 10:
        typer.echo(f"and {len(unread) - 10} more; --json names each", err=True)
    print_result(payload, "\n".join(lines), as_json=as_json)
    return EXIT_FAILED if failures or found.table.empty else 0


def _lines(found: TileSet) -> Iterator[str]:
    counts = [count for count in found.counts().values() if count]
    if counts:
        yield (
            f"{len(found.table)} tiles on {len(counts)} slides, {min(counts)} to {max(counts)} per slide, "
            f"median {median(counts):g}"
        )
    for strategy, number in found.table["strategy"].value_counts(sort=False).items():
        yield f"{strategy:<17} {number}"
    for name, reason in [*found.skipped.items()][:10]:
        yield f"no tile: {name}: {reason}"
    if len(found.skipped) > 10:
        yield f"and {len(found.skipped) - 10} more slides without tiles; --json or --preview names each"
    if found.fallbacks:
        yield f"{_slides(len(found.fallbacks))} not cut by {_their(found.fallbacks)} mask; --json or --preview says why"
    if found.small_boxes:
        yield (
            f"{_slides(len(found.small_boxes))} without a box of tiles.component_box_min: the largest box of "
            f"{_their(found.small_boxes)} mask was taken; --json or --preview says which"
        )


def _slides(num: int) -> str:
    return f"{num} slide{'s' * (num != 1)}"


def _their(slides: Mapping[str, str]) -> str:
    return "its" if len(slides) == 1 else "their"
