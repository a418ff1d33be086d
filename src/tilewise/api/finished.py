"""What is done with a finished run: evaluate, report, verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilewise.api.coerce import to_path
from tilewise.runs import RunFolder

if TYPE_CHECKING:
    from tilewise.store import Damage


def evaluate(run: Path | str) -> dict[str, Any]:
    """Score a run's predictions again; the same numbers as in its `evaluation.json`.

    Raises:
        UsageError: the folder holds no finished run.
    """
    from tilewise.evaluation.run import evaluate_predictions
    from tilewise.folds import Folds
    from tilewise.inference.predictions import Predictions
    from tilewise.recipe import parse_recipe

    folder = RunFolder(Path(run))
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


def report(run: Path | str, *, out: Path | str | None = None) -> Path:
    """Write a run's HTML report again, into the run or to `out`; returns where.

    Raises:
        UsageError: the folder holds no finished run.
    """
    from tilewise.reporting.gather import write_report
    from tilewise.reporting.templates import is_page_of
    from tilewise.store import check_out_file

    folder, path = RunFolder(Path(run)), to_path(out)
    folder.require_finished()
    if path is not None and path.resolve() != folder.report.resolve():
        check_out_file(path, is_own=is_page_of("report"), contents="report")
    return write_report(folder, out=path)


def verify(run: Path | str) -> list[Damage]:
    """Compare every file of a run with its manifest; an empty list means all is well.

    Raises:
        UsageError: the folder holds no finished run.
    """
    from tilewise.store import verify as verify_folder

    folder = RunFolder(Path(run))
    folder.require_finished()
    return verify_folder(folder.root)
