"""Options that several commands share, and the exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, as `tilewise train --out` made it.")]
CohortArgument = Annotated[
    Path, typer.Argument(metavar="COHORT", help="Folder of slides, masks and labels, or a CSV or Parquet table.")
]
RecipeOption = Annotated[str, typer.Option("--recipe", help="A packaged recipe's name or a YAML file.")]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override one recipe key, as in tiles.size_px=256; may be repeated."
    ),
]
DecisionsOption = Annotated[
    Path | None,
    typer.Option(
        "--decisions",
        help="A decisions.csv of an audit that a person edited, or the decisions.sqlite that `tilewise serve` keeps.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes; default: every processor there is.")
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Never reach for the network; weights must be local.")]
StandInOption = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Never reach for the network. Where weights are missing, random weights or the encoder texture stand "
        "in for them; output and report begin with saying so.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, everything else on stderr.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress, no hints; errors only.")]
