"""A grid in, runs and their table out; the table is written after each variant, so that one can watch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tilewise.execution import Failure, read_failures
from tilewise.folds import Folds
from tilewise.metrics import METRIC_NAMES
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.reporting.text import interval, number
from tilewise.run_folder import RunFolder
from tilewise.sweep.choice import NAME
from tilewise.sweep.grid import Grid
from tilewise.sweep.page import PageFacts, notices, sentences, write_page
from tilewise.sweep.run_sweep import run_sweep
from tilewise.sweep.table import Scorer, SweepRow, SweepTable
from tilewise.sweep.train_variants import VariantResult
from tilewise.sweep.variants import Variant

_PAGE = "sweep.html"
_CSV = "sweep.csv"


@dataclass(frozen=True)
class Sweep:
    """A sweep that came to its end.

    Attributes:
        out: its folder; each variant's run lies in it.
        table: a row for each variant.
    """

    out: Path
    table: SweepTable

    @property
    def page(self) -> Path:
        """The table to look at."""
        return self.out / _PAGE

    @property
    def csv(self) -> Path:
        """The table to compute with."""
        return self.out / _CSV

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Slides that a variant could not use, each once: `failures.csv` of the variants' runs names them."""
        runs = [RunFolder(self.out / row.run) for row in self.table.rows if row.error is None]
        failures = [failure for run in runs for failure in read_failures(run.failures)]
        return tuple({failure.item: failure for failure in reversed(failures)}.values())[::-1]

    def lines(self) -> list[str]:
        """The table in words, for a terminal; what must be known before it comes first."""
        metric, names = self.table.metric, [_name(row) for row in self.table.rows]
        width = max(map(len, [*names, NAME]))
        rows = [f"{'variant':<{width}}  validation  test {METRIC_NAMES[metric]}"]
        for name, row in zip(names, self.table.rows, strict=True):
            if row.error is not None:
                rows.append(f"{name:<{width}}  failed")
                continue
            score = row.test[metric]
            rows.append(
                f"{name:<{width}}  {number(row.validation, 3):>6}  {number(score['value'], 3)} ({interval(score, 3)})"
            )
        if self.table.choice is not None:
            score = self.table.choice.test[metric]
            rows.append(f"{NAME:<{width}}  {'':>6}  {number(score['value'], 3)} ({interval(score, 3)})")
        return [*notices(self.table.rows), *rows, *sentences(self.table)]


def _name(row: SweepRow) -> str:
    return f"{row.name} (and {len(row.also)} more)" if row.also else row.name


def sweep_cohort(grid: Grid, variants: Sequence[Variant], out: Path, shared: SharedStages) -> Sweep:
    """Train every variant on the same folds and write `sweep.html` and `sweep.csv`; see `run_sweep`."""
    facts = PageFacts(grid.name, grid.description, shared.cohort.root.name, shared.seed, len(variants))
    scorer = Scorer(variants[0].recipe.evaluation, shared.seed)

    def write(done: Sequence[VariantResult], folds: Folds) -> None:
        made = Sweep(out, scorer.tabulate(done, folds))
        made.table.write_csv(made.csv)
        write_page(made.page, made.table, facts)

    return Sweep(out, scorer.tabulate(*run_sweep(variants, out, shared, tell=write)))
