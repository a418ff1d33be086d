"""`tilewise segment`: region masks where there are none, or better ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tilewise.cli.options import (
    EXIT_FAILED,
    CohortArgument,
    DecisionsOption,
    ExecutorOption,
    JsonOption,
    OfflineOption,
    QuietOption,
    RecipeOption,
    SeedOption,
    SetOption,
    WorkersOption,
)

_EXAMPLES = (
    "Examples:\n\ntilewise segment my_cohort --method tissue --out masks\n\n"
    "tilewise train masks --out runs/first\n\n"
    "tilewise segment my_cohort --method unet --mask-threshold 0.3 --out masks\n\n"
    "tilewise segment test_slides --method unet --set segment.unet.networks=masks/segmenter --out test_masks\n\n"
    "tilewise segment my_cohort --method sam --set segment.sam.checkpoint=sam-vit-base/ --out masks"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("segment", epilog=_EXAMPLES)(segment)


def segment(
    cohort: CohortArgument,
    method: Annotated[
        Literal["tissue", "unet", "sam"],
        typer.Option(
            "--method",
            help="By colour, by a U-Net that learns from the cohort's own masks (each slide's without it), or by SAM.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="New folder for masks, segment.html, segment.json and cohort.csv.")
    ],
    mask_threshold: Annotated[
        float | None,
        typer.Option(
            "--mask-threshold",
            help="Probability from which a pixel is in the region; lower takes in more. Default 0.5.",
        ),
    ] = None,
    set_: SetOption = [],  # noqa: B006 - typer reads the default, nobody changes it
    recipe: RecipeOption = "default",
    decisions: DecisionsOption = None,
    seed: SeedOption = 0,
    workers: WorkersOption = None,
    executor: ExecutorOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Make a region mask for every slide of a cohort; the cohort's folder is never changed.

    `tilewise train OUT` then trains with these masks. segment.html shows the slides before and after. Where slides
    have masks already, the new ones are scored against them, with intervals. Ends with 1 when a slide is left without a
    mask.
    """
    from tilewise import api
    from tilewise.cli.console import note_lines, print_result, progress
    from tilewise.segment.output import SHEET, SUMMARY
    from tilewise.segment.sheet import summary
    from tilewise.store import read_json

    asked = [
        f"segment.method={method}",
        *([] if mask_threshold is None else [f"segment.mask_threshold={mask_threshold}"]),
        *set_,
    ]
    with progress(quiet=quiet):
        made = api.segment(
            cohort,
            api.load_recipe(recipe, asked),
            out=out,
            seed=seed,
            decisions=decisions,
            workers=workers,
            executor=executor,
            offline=offline,
        )
    failures = (*made.before.failures, *made.failures)
    for failure in failures[:10]:
        typer.echo(f"failed: {failure.item}: {failure.message}", err=True)
    for name, why in [*made.without.items()][:10]:
        typer.echo(f"no mask: {name}: {why}", err=True)
    text = [
        *summary(made),
        *note_lines(made.before.slide_notes()),
        f"look at      {out / SHEET}",
        f"train with   tilewise train {out}",
    ]
    print_result(read_json(out / SUMMARY, schema="tilewise.segment", version=1), "\n".join(text), as_json=as_json)
    return EXIT_FAILED if failures or made.without or not any(one.used for one in made.slides) else 0
