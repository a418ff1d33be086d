"""`tilewise explain`: where on the slides a run sees its class."""

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
_EXAMPLES = (
    "Examples:\n\ntilewise explain runs/first\n\ntilewise explain runs/first my_cohort/test_data --out maps\n\n"
    "tilewise explain runs/first --slides img_0003.png --slides img_0007.png --class Malignant --out maps"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain", epilog=_EXAMPLES)(explain)


def explain(
    run: RunArgument,
    slides: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FOLDER]",
            help="Folder or table of new slides; a cohort's test_data is found inside it. Default: the run's own "
            "slides, each explained by the model of its fold.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for explain.html, explain.csv, and a picture and GeoJSON file of each slide. Default: "
            "RUN-explained, beside the run.",
        ),
    ] = None,
    pixels: Annotated[
        Path | None,
        typer.Option(
            "--pixels",
            metavar="FOLDER",
            help="Of a run on features of another program: folder of the slides, to draw on them. Default: tiles are "
            "rectangles on a blank.",
        ),
    ] = None,
    only: Annotated[
        list[str], typer.Option("--slides", metavar="ID", help="Draw this slide alone; may be repeated.")
    ] = [],  # noqa: B006 - typer reads the default, nobody changes it
    class_name: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="Class to draw. Default: the one predicted.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=1,
            help="Draw so many slides at most. Default: all new ones; of the run's own nine, a third each predicted "
            "wrong, most unsure and right.",
        ),
    ] = None,
    occlude: Annotated[
        int,
        typer.Option(
            "--occlude",
            min=0,
            help="Networks on pixels: tiles of each slide whose parts are covered one by one, as a check without "
            "gradients. Heads on features leave out every tile; 0: neither.",
        ),
    ] = 4,
    workers: WorkersOption = None,
    executor: ExecutorOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    r"""Draw where a trained run sees a class on its slides, and check whether the maps are to be believed.

    Every run: probabilities of tiles. Networks on pixels: Grad-CAM, by the library grad-cam (pip install
    'tilewise\[explain]'). Heads that weigh tiles: their attention. Features come from the cache. The page also holds a
    map of the cohort, tiles that count most and least, and slides whose label is worth a second look. Where a run
    looked is not why it decided. Ends with 1 when a slide has no map.
    """
    from tilewise import api
    from tilewise.cli.console import note_lines, print_result, progress
    from tilewise.cohort import Cohort
    from tilewise.explain.config import ExplainConfig
    from tilewise.interchange.folder import is_feature_folder

    config = ExplainConfig(slides=tuple(only), class_name=class_name, limit=limit, occluded_tiles=occlude)
    with progress(quiet=quiet):
        cohort: Cohort | Path | None = slides
        if slides is not None and not is_feature_folder(slides):
            cohort = Cohort.discover(slides, purpose="predict")
        result = api.explain(
            run, cohort, out=out, pixels=pixels, config=config, workers=workers, executor=executor, offline=offline
        )
    for warning in result.warnings[:_WARNINGS_SHOWN]:
        typer.echo(f"warning: {warning}", err=True)
    if len(result.warnings) > _WARNINGS_SHOWN:
        typer.echo(f"... and {len(result.warnings) - _WARNINGS_SHOWN} more; {result.page} has them all", err=True)
    lines = [f"{count(len(result.pictures), 'slide')} drawn"]
    lines += [f"{len(result.without)} without a map"] if result.without else []
    lines += note_lines(result.slide_notes)
    lines += [f"{check.title}: {check.verdict}" for check in result.checks]
    lines += [f"page: {result.page} (open it in a browser)", f"tiles: {result.table}"]
    payload = {
        "page": str(result.page),
        "table": str(result.table),
        "pictures": {name: str(path) for name, path in result.pictures.items()},
        "objects": {name: str(path) for name, path in result.objects.items()},
        "drawn": dict(result.drawn),
        "checks": [
            {
                "map": check.name,
                "random_share": None if check.random_share is None else [*check.random_share],
                "occlusion": check.agreement,
                "auroc": check.auroc,
                "pointing": check.pointing,
            }
            for check in result.checks
        ],
        "without": dict(result.without),
        "warnings": list(result.warnings),
        "failures": [failure.__dict__ for failure in result.failures],
        "slide_notes": [kind.to_json() for kind in result.slide_notes],
    }
    print_result(payload, "\n".join(lines), as_json=as_json)
    return EXIT_FAILED if result.failures or result.without else 0
