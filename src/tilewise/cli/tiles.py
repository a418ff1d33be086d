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
    ExecutorOption,
    JsonOption,
    QuietOption,
    RecipeOption,
    SetOption,
    WorkersOption,
)
from tilewise.wording import count

if TYPE_CHECKING:
    from tilewise.tiles.tileset import TileSet

_EXAMPLES = (
    "Examples:\n\ntilewise tiles my_cohort --preview tiles.html\n\n"
    "tilewise tiles my_cohort --set 'tiles.strategy=[component_center, window]' --set tiles.size_px=224 "
    "--preview tiles.html --out tiles.parquet"
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
    executor: ExecutorOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Cut a cohort's slides into tiles as a recipe says, without encoding them: to see what a recipe looks at.

    Ends with 1 when a slide cannot be read, or yields no tile although the recipe leaves none out.
    """
    from tilewise import api
    from tilewise.cli.console import print_result, progress

    with progress(quiet=quiet):
        tile_set, failures = api.tiles(
            cohort,
            api.load_recipe(recipe, set_),
            out=out,
            preview=preview,
            decisions=decisions,
            workers=workers,
            executor=executor,
        )
    payload = {
        "num_tiles": len(tile_set.table),
        "tiles": tile_set.counts(),
        "skipped": tile_set.skipped,
        "fallbacks": tile_set.fallbacks,
        "small_masks": tile_set.small_masks,
        "dropped": tile_set.dropped,
        "failures": [asdict(failure) for failure in failures],
        "out": str(out) if out else None,
        "preview": str(preview) if preview else None,
    }
    lines = [*_lines(tile_set)]
    lines += [f"table        {out}"] if out else []
    lines += [f"preview      {preview}"] if preview else []
    unread = [failure for failure in failures if failure.item not in tile_set.skipped]
    for failure in unread[:10]:
        typer.echo(f"failed: {failure.item}: {failure.message}", err=True)
    if len(unread) > 10:
        typer.echo(f"and {len(unread) - 10} more; --json names each", err=True)
    print_result(payload, "\n".join(lines), as_json=as_json)
    return EXIT_FAILED if failures or tile_set.table.empty else 0


def _lines(tile_set: TileSet) -> Iterator[str]:
    counts = [num for num in tile_set.counts().values() if num]
    if counts:
        tiles_on_slides = f"{count(len(tile_set.table), 'tile')} on {count(len(counts), 'slide')}"
        yield f"{tiles_on_slides}, {min(counts)} to {max(counts)} per slide, median {median(counts):g}"
    for strategy, number in tile_set.table["strategy"].value_counts(sort=False).items():
        yield f"{strategy:<17} {number}"
    for name, reason in [*tile_set.skipped.items()][:10]:
        yield f"no tile: {name}: {reason}"
    if len(tile_set.skipped) > 10:
        yield f"and {count(len(tile_set.skipped) - 10, 'more slide')} without tiles; --json or --preview names each"
    if fallbacks := tile_set.fallbacks:
        slides = count(len(fallbacks), "slide")
        yield f"{slides} not cut by {_their(fallbacks)} mask; --json or --preview says why"
    if small_masks := tile_set.small_masks:
        yield (
            f"{count(len(small_masks), 'slide')} whose mask is smaller than tiles ask for: what comes nearest was "
            "taken; --json or --preview says what"
        )


def _their(slides: Mapping[str, str]) -> str:
    return "its" if len(slides) == 1 else "their"
