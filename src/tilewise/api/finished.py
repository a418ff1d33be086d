"""What is done with finished runs: evaluate, compare, report, verify, repair."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from tilewise.api.coerce import checked, feature_stages, to_features, to_folder, to_path, to_stages
from tilewise.errors import ArgumentError

if TYPE_CHECKING:
    from tilewise.evaluation.comparison import Comparison
    from tilewise.evaluation.evaluation import Evaluation
    from tilewise.metrics import PrimaryMetric
    from tilewise.pipeline.finished_run import Run
    from tilewise.pipeline.repair_run import RunRepair
    from tilewise.pipeline.shared_stages import SharedStages
    from tilewise.store import Damage


def evaluate(run: Run | Path | str) -> Evaluation:
    """Score a run's predictions again; the same numbers as in its `evaluation.json`.

    Raises:
        UsageError: the folder holds no finished run.

    Example:
        >>> evaluation = tw.evaluate("runs/first")
        >>> evaluation.macro_f1.low <= evaluation.macro_f1.value <= evaluation.macro_f1.high
        True
    """
    from tilewise.auditing.table import TableFacts
    from tilewise.evaluation.evaluate_predictions import evaluate_predictions
    from tilewise.folds import Folds
    from tilewise.inference.predictions import Predictions
    from tilewise.recipe import parse_recipe

    folder = to_folder(run)
    identity = folder.require_finished()
    recipe = parse_recipe(identity["recipe"], str(folder.identity))
    predictions = Predictions.read(folder.predictions)
    return evaluate_predictions(
        predictions.table,
        Folds.read(folder.folds),
        recipe.evaluation,
        classes=predictions.classes,
        seed=int(identity["seed"]),
        facts=TableFacts(**identity["table"]) if "table" in identity else TableFacts.read(folder.slides),
    )


@checked
def compare(
    runs: Sequence[Run | Path | str],
    *,
    margin: float = 0.03,
    metric: PrimaryMetric | None = None,
    out: Path | str | None = None,
) -> Comparison:
    """Compare the recipes of runs over the slides that all of them have tested: which is better, and how sure is that.

    Runs of one recipe with different seeds are repeats of it, and make the comparison sharper: chance of training is
    part of every interval and p-value.

    Args:
        runs: two or more runs, or their folders.
        margin: the least difference that matters, above 0.
        metric: that recipes are judged by; None takes that of the first run's recipe.
        out: HTML page with the answer, a chart and all metrics; None writes none.

    Raises:
        UsageError: a folder holds no finished run, or the runs have no slide in common, or other labels or groups.

    Example:
        >>> comparison = tw.compare(["runs/first", "runs/second"])
        >>> comparison.sentences()[0].startswith("first and second cannot be told apart")
        True
    """
    from tilewise.metrics import PrimaryMetric
    from tilewise.pipeline.compare_runs import compare_runs
    from tilewise.reporting.compare import write_comparison
    from tilewise.reporting.templates import is_page_of
    from tilewise.store import check_out_file

    if isinstance(runs, str | os.PathLike):
        raise ArgumentError(f"runs: expected several runs or their folders, not one path ({os.fspath(runs)})")
    if not isinstance(margin, int | float) or not 0.0 < margin < 1.0:
        raise ArgumentError(f"margin={margin!r}: expected a number between 0 and 1, as 0.03")
    if metric is not None and metric not in get_args(PrimaryMetric):
        raise ArgumentError(f"metric={metric!r}: expected one of {', '.join(get_args(PrimaryMetric))}")
    path = to_path(out)
    if path is not None:
        check_out_file(path, is_own=is_page_of("compare"), contents="page")
    comparison = compare_runs([to_folder(run) for run in runs], margin=margin, metric=metric)
    if path is not None:
        write_comparison(path, comparison)
    return comparison


@checked
def report(run: Run | Path | str, *, out: Path | str | None = None) -> Path:
    """Write a run's HTML report again, into the run or to `out`; returns where.

    Raises:
        UsageError: the folder holds no finished run.

    Example:
        >>> tw.report("runs/first", out="report.html").name
        'report.html'
    """
    from tilewise.reporting.gather import report_html, write_report
    from tilewise.reporting.templates import is_page_of
    from tilewise.store import Manifest, check_out_file

    folder, path = to_folder(run), to_path(out)
    folder.require_finished()
    if path is not None and path.resolve() != folder.report.resolve():
        check_out_file(path, is_own=is_page_of("report"), contents="report")
        return write_report(folder, out=path)
    with folder.locked():
        Manifest.rewrite(folder.root, folder.report, report_html(folder).encode())
    return path or folder.report


def verify(run: Run | Path | str) -> list[Damage]:
    """Compare every file of a run with its manifest; an empty list means all is well.

    Raises:
        UsageError: the folder holds no finished run.

    Example:
        >>> tw.verify("runs/first")
        []
    """
    from tilewise.store import verify as verify_folder

    folder = to_folder(run)
    folder.require_finished()
    return verify_folder(folder.root)


@checked
def repair(
    run: Run | Path | str,
    *,
    decisions: Path | str | None = None,
    labels: Path | str | None = None,
    workers: int | None = None,
    offline: bool = False,
) -> RunRepair:
    """Make the damaged files of a finished run again, from what is whole of it and from its cohort.

    Of tables, recipes and pictures, which a person may have edited, the changed file is kept as NAME.DATE.SUFFIX beside
    the new one.

    Args:
        run: a run, or its folder; not one that `ensemble` made, which the same call of `ensemble` repairs.
        decisions: the table that the run was made with, where the run's own `audit/decisions.csv` is damaged.
        labels: table of slides and labels, where the run was trained on a folder of features.
        workers: processes; None takes every processor.
        offline: never reach for the network.

    Raises:
        UsageError: the folder holds no finished run, or its cohort has changed or is not where it was; then nothing is
            taken away.
        ArtifactError: nothing says any more what the run was made from.

    Example:
        >>> tw.api.repair("runs/first").remade
        ()
    """
    from tilewise.pipeline.repair_run import repair_run
    from tilewise.pipeline.shared_stages import Resources

    def stages_of(identity: Mapping[str, Any], own_decisions: Path | None) -> SharedStages:
        root, seed, resources = Path(identity["cohort"]["root"]), int(identity["seed"]), Resources(workers, offline)
        features, decided = to_features(root, labels), own_decisions or decisions
        if features is None:
            return to_stages(root, "train", decisions=decided, seed=seed, resources=resources)
        return feature_stages(features, seed, resources, decided)

    return repair_run(to_folder(run), stages_of)
