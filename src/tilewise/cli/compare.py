"""`tilewise compare`: which of several recipes is better, and how sure is that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tilewise.cli.options import JsonOption

if TYPE_CHECKING:
    from tilewise.evaluation.comparison import Comparison

# As `metrics.PrimaryMetric`, which comes with NumPy.
Metric = Literal["macro_f1", "weighted_f1", "balanced_accuracy", "auroc_macro"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "compare",
        epilog="Examples: tilewise compare runs/first runs/wide --out compare.html\n\n"
        "tilewise compare runs/first-seed0 runs/first-seed1 runs/wide-seed0 runs/wide-seed1 --margin 0.05",
    )(compare)


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Folders of two or more runs of one cohort. Runs of one recipe with different seeds are its repeats.",
        ),
    ],
    margin: Annotated[
        float, typer.Option("--margin", metavar="X", help="The least difference that matters, of the metric.")
    ] = 0.03,
    metric: Annotated[
        Metric | None,
        typer.Option("--metric", help="That recipes are judged by. Default: evaluation.metric of the first run."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="HTML page with a chart and all metrics.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether recipes differ by more than chance, by how much, and how many slides would tell.

    Chance is that of slides (or groups), of training with another seed, and of which slides are trained on. One run of
    each recipe tells large differences; give several seeds of each to tell smaller ones.
    """
    from tilewise import api
    from tilewise.cli.console import print_result

    comparison = api.compare(list(runs), margin=margin, metric=metric, out=out)
    lines = [*comparison.sentences(), "", *_tables(comparison)]
    if out is not None:
        lines.append(f"page: {out} (open it in a browser)")
    print_result({**comparison.to_json(), "page": None if out is None else str(out)}, "\n".join(lines), as_json=as_json)


def _tables(comparison: Comparison) -> Iterator[str]:
    """Recipes with their scores, then pairs, by the metric that recipes are judged by, on each kind of labels."""
    from tilewise.metrics import METRIC_NAMES
    from tilewise.reporting.compare import pair_cells, recipe_cells

    metric, corrected = comparison.metric, comparison.corrected
    head = (f"recipe, {METRIC_NAMES[metric]}", "mean", "runs", "p guessing")
    pair_head = ("pair", "difference", "interval", "p", "p Holm", "p folds", "A better", "alike", "B better")
    for one in (comparison, corrected) if corrected else (comparison,):
        if corrected:
            yield "corrected labels:" if one is corrected else "the table's own labels:"
        yield from _table(head, recipe_cells(one))
        yield from _table(pair_head, pair_cells(one))
    margin = f"{comparison.pairs[0].paired.margin:g}"
    yield f"A better: probability that A is better by more than {margin}; p folds: Nadeau and Bengio's corrected t test"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    cells = [head, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield ""
