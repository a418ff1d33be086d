"""Options that several commands share, and the exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tilewise.cli.completion import complete_recipe, complete_setting

if TYPE_CHECKING:
    from tilewise.cohort import LabelTables

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, as `tilewise train --out` made it.")]
CohortArgument = Annotated[
    Path, typer.Argument(metavar="COHORT", help="Folder of slides, masks and labels, or a CSV or Parquet table.")
]
RecipeOption = Annotated[
    str,
    typer.Option("--recipe", autocompletion=complete_recipe, help="A packaged recipe's name or a YAML file."),
]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        autocompletion=complete_setting,
        help="Override one recipe key, as in tiles.size_px=256; may be repeated.",
    ),
]
DecisionsOption = Annotated[
    Path | None,
    typer.Option(
        "--decisions",
        exists=True,
        help="A decisions.csv of an audit that a person edited, or the decisions.sqlite that `tilewise serve` keeps.",
    ),
]
LabelsOption = Annotated[
    Path | None,
    typer.Option("--labels", help="Table of slides and labels, or of patients, where COHORT is a folder of features."),
]
SlideTableOption = Annotated[
    Path | None,
    typer.Option("--slide-table", help="Which files are of which patient of --labels, as STAMP's slide table."),
]
LabelColumnOption = Annotated[
    str | None, typer.Option("--label-column", metavar="NAME", help="Column of --labels. Default: label.")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes; default: every processor there is.")
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Say what would be done, what of it is in the cache, and roughly how long it takes and how much memory, "
        "by a few slides that are timed; nothing is written.",
    ),
]
ExecutorOption = Annotated[
    Literal["local", "ray"] | None,
    typer.Option(
        "--executor",
        help="Where work over slides, folds and trials runs: here, or on the Ray cluster at $RAY_ADDRESS (without one, "
        "Ray on this machine). Default: $TILEWISE_EXECUTOR, else local.",
    ),
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


def label_tables(labels: Path | None, slide_table: Path | None, label_column: str | None) -> LabelTables | None:
    """The tables that options name.

    Raises:
        UsageError: `--slide-table` or `--label-column` without `--labels`.
    """
    from tilewise.cohort import LabelTables
    from tilewise.errors import UsageError

    if labels is not None:
        return LabelTables(labels, slide_table, label_column)
    if slide_table is not None or label_column is not None:
        raise UsageError("--slide-table and --label-column say how --labels is read; give that table of labels too")
    return None
