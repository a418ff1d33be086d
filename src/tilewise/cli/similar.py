"""`tilewise similar`: slides that look like an example."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tilewise.cli.options import EXIT_FAILED, CohortArgument, JsonOption, OfflineOption, QuietOption, WorkersOption
from tilewise.wording import count


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("similar", epilog="Example: tilewise similar my_cohort --to img_0003.png --out similar.html")(similar)


def similar(
    cohort: CohortArgument,
    to: Annotated[str, typer.Option("--to", metavar="SLIDE", help="A slide of the cohort, or any picture's path.")],
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder",
            metavar="NAME",
            help="One that `tilewise encoders` lists. Default: the first of dinov2_vits14, "
            "lunit_vits16_dino, phikon and resnet50 whose weights are here, else texture.",
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="How many slides to show.")] = 12,
    out: Annotated[Path | None, typer.Option("--out", help="HTML page with the slides' pictures.")] = None,
    workers: WorkersOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Find the slides of a cohort that look most like a slide or a picture."""
    from tilewise import api
    from tilewise.cli.console import print_result, progress

    with progress(quiet=quiet):
        result = api.similar(cohort, to, encoder=encoder, top=top, out=out, workers=workers, offline=offline)
    payload = {
        "to": result.to,
        "encoder": result.encoder,
        "num_compared": result.num_compared,
        "neighbours": [asdict(one) for one in result.neighbours],
        "failures": [asdict(failure) for failure in result.failures],
        "page": str(out) if out else None,
    }
    width = max((len(one.slide) for one in result.neighbours), default=0)
    lines = [
        f"{one.rank:>4}  {one.similarity:>6.3f}  {one.slide:<{width}}  {one.label or ''}".rstrip()
        for one in result.neighbours
    ]
    chosen = f"{count(result.num_compared, 'slide')} compared with {result.to} by the encoder {result.encoder}"
    text = "\n".join([chosen, "rank  cosine  slide", *lines, *([f"page         {out}"] if out else [])])
    for failure in result.failures[:10]:
        typer.echo(f"failed: {failure.item}: {failure.message}", err=True)
    if len(result.failures) > 10:
        typer.echo(f"and {len(result.failures) - 10} more; --json names each", err=True)
    print_result(payload, text, as_json=as_json)
    return EXIT_FAILED if result.failures else 0
