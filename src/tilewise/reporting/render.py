"""Data in, one HTML file out: one small script, no font, no request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tilewise.models.config import HIGHEST_TEMPERATURE
from tilewise.reporting.curves import training_curves
from tilewise.reporting.data import ReportInput
from tilewise.reporting.decision_curve import decision_curves
from tilewise.reporting.describe import by_others, decision_groups
from tilewise.reporting.headline import METRIC_NAMES, headline, interval_question, num_repeats, primary_metric
from tilewise.reporting.heat import describe_heat
from tilewise.reporting.learning_curve import curve_section
from tilewise.reporting.reliability import abstention_chart, probabilities
from tilewise.reporting.shortcuts import shortcut_chart
from tilewise.reporting.subgroups import subgroups
from tilewise.reporting.tables import confusion_rows, flat, fold_rows, fold_summary, loss_tables, tile_counts
from tilewise.reporting.templates import environment, read

_NUM_DOUBTS = 20
_FOLD_METRICS = ("macro_f1", "balanced_accuracy", "auroc_macro")


def render_report(data: ReportInput) -> str:
    """The report as one HTML document that loads nothing. The same data gives the same text."""
    evaluation, metric = data.evaluation, primary_metric(data.evaluation)
    decisions = decision_groups(data.audit.decisions, fallback=data.audit.fallback) if data.audit else []
    confusion = confusion_rows(evaluation["confusion"])
    losses = loss_tables(evaluation)
    auroc_notes, box_notes = _split_notes(evaluation["out_of_fold"]["notes"])
    view: dict[str, Any] = {
        "data": data,
        "style": read("report.css"),
        "classes": evaluation["classes"],
        "pooled": evaluation["out_of_fold"],
        "holdout": evaluation.get("holdout"),
        "headline": headline(evaluation),
        "question": interval_question(evaluation["out_of_fold"]),
        "metric": metric,
        "metric_names": {name: METRIC_NAMES[name] for name in METRIC_NAMES if name in evaluation["out_of_fold"]},
        "fold_metrics": list(dict.fromkeys([metric, *_FOLD_METRICS])),
        "confusion": confusion,
        "curves": training_curves(data.histories, METRIC_NAMES[metric]),
        "chosen": Counter(choice.chosen for choice in data.ladder).most_common(),
        "heat_sentence": describe_heat((*data.slides, *data.confident_errors)),
        "curve": None if data.curve is None else curve_section(data.curve),
        "highest_temperature": HIGHEST_TEMPERATURE,
        "fits": [history for history in data.histories if history.fit],
        "folds": fold_rows(data.parts),
        "fold_summary": fold_summary(data.parts),
        "decisions": decisions,
        "show_author": by_others(decisions),
        "auroc_notes": auroc_notes,
        "box_notes": box_notes,
        "tile_counts": tile_counts(data.tiles.counts) if data.tiles else None,
        "losses": losses,
        "warnings": [text for text in data.warnings if data.shortcuts is None or text not in data.shortcuts.warnings()],
        "lists": {
            "errors": {one.slide for one in data.confident_errors},
            "doubts": {one.slide for one in (data.doubtful_labels or ())[:_NUM_DOUBTS]},
            "losses": {row["slide"] for row in losses.slides} if losses else set(),
        },
        "num_doubts": _NUM_DOUBTS,
        "num_repeats": num_repeats(evaluation["out_of_fold"]),
        "num_wrong": sum(row.total - row.cells[index].count for index, row in enumerate(confusion)),
        "groups": evaluation.get("by_group"),
        "subgroups": subgroups(evaluation),
        "probabilities": probabilities(evaluation),
        "sets": evaluation.get("sets", {}),
        "decision_curves": decision_curves(evaluation),
        "abstention": abstention_chart(evaluation.get("abstention", ())),
        "abstention_points": evaluation.get("abstention", ()),
        "environment": flat(data.environment),
        "shortcuts": shortcut_chart(data.shortcuts, evaluation) if data.shortcuts else None,
    }
    return environment().get_template("report.html").render(view)


def _split_notes(notes: Sequence[str]) -> tuple[list[str], list[str]]:
    """Notes of the evaluation on the AUROC, which stand beside it, and the others, which stand in the first box.

    That of few groups is neither: it stands beside the score.
    """
    auroc = [note for note in notes if note.startswith("AUROC ")]
    return auroc, [note for note in notes if not note.startswith(("AUROC ", "Only "))]
