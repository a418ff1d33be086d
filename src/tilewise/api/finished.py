"""What is done with a finished run: evaluate, report, verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tilewise.api.coerce import checked, to_folder, to_path

if TYPE_CHECKING:
    from tilewise.evaluation.evaluation import Evaluation
    from tilewise.pipeline.finished_run import Run
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
    )


@checked
def report(run: Run | Path | str, *, out: Path | str | None = None) -> Path:
    """Write a run's HTML report again, into the run or to `out`; returns where.

    Raises:
        UsageError: the folder holds no finished run.

    Example:
        >>> tw.report("runs/first", out="report.html").name
        'report.html'
    """
    from tilewise.reporting.gather import write_report
    from tilewise.reporting.templates import is_page_of
    from tilewise.store import check_out_file

    folder, path = to_folder(run), to_path(out)
    folder.require_finished()
    if path is not None and path.resolve() != folder.report.resolve():
        check_out_file(path, is_own=is_page_of("report"), contents="report")
    return write_report(folder, out=path)


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
