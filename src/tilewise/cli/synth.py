"""`tilewise synth`: a cohort with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tilewise.cli.options import JsonOption, QuietOption, SeedOption, WorkersOption
from tilewise.wording import count


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("synth", epilog="Example: tilewise synth my_cohort --slides 160 --seed 0 --difficulty 0.5")(synth)


def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the cohort; the same command resumes it.")],
    slides: Annotated[int, typer.Option("--slides", min=2, help="Training slides.")] = 160,
    test_slides: Annotated[
        int | None, typer.Option("--test-slides", min=0, help="Test slides; default: a quarter of --slides.")
    ] = None,
    seed: SeedOption = 0,
    difficulty: Annotated[
        float, typer.Option("--difficulty", min=0.0, max=1.0, help="0: nearly separable; 1: no signal at all.")
    ] = 0.5,
    min_side: Annotated[
        int, typer.Option("--min-side", min=256, help="Shorter side of every slide, in pixels.")
    ] = 1024,
    signal: Annotated[
        str, typer.Option("--signal", help="Where the label shows: `texture` of the tissue, or `mask_shape` alone.")
    ] = "texture",
    faults: Annotated[
        int,
        typer.Option(
            "--faults", min=0, help="Planted faults of each kind, on slides of their own; see truth/faults.csv."
        ),
    ] = 0,
    source: Annotated[
        str, typer.Option("--source", help="What cores are made of: `drawn` tissue, or real `textures`.")
    ] = "drawn",
    textures: Annotated[
        Path | None, typer.Option("--textures", metavar="DIR", help="Folder of real slides for --source textures.")
    ] = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw a cohort of needle-core biopsies in the contract's layout; the truth is written to OUT/truth."""
    from tilewise import api
    from tilewise.cli.console import print_result, progress

    options = {
        "num_slides": slides,
        "num_test_slides": slides // 4 if test_slides is None else test_slides,
        "seed": seed,
        "difficulty": difficulty,
        "min_side_px": min_side,
        "signal": signal,
        "faults": faults,
        "source": source,
        "textures": textures,
    }
    with progress(quiet=quiet):
        summary = api.synth(out, options, workers=workers)
    payload = {
        "cohort": str(summary.root),
        "num_train": summary.num_train,
        "num_test": summary.num_test,
        "num_faulty": summary.num_faulty,
        "best_macro_f1": summary.best_macro_f1,
        "truth": str(summary.truth),
    }
    text = (
        f"{summary.num_train} training and {count(summary.num_test, 'test slide')} in {summary.root}\n"
        f"best macro F1 anyone can reach: {summary.best_macro_f1:.3f} (truth in {summary.truth})"
    )
    if summary.num_faulty:
        text += f"\n{count(summary.num_faulty, 'slide')} with a planted fault, named in {summary.truth / 'faults.csv'}"
    print_result(payload, text, as_json=as_json)
