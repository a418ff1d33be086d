"""Scores as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tilewise.metrics import METRIC_NAMES
from tilewise.reporting.headline import describe_right, describe_weakest
from tilewise.wording import count

_BASELINES = {"commonest": "commonest class", "random": "guessing at random"}
_SHOWN_LOSSES = 5


def score_lines(evaluation: Mapping[str, Any], *, details: bool = False) -> Iterator[str]:
    """The recipe's metric with its interval and the baselines; with `details` every metric, part, class and loss."""
    primary = evaluation["metric"]
    parts = [("out of fold", evaluation["out_of_fold"])]
    if evaluation.get("holdout"):
        parts.append(("holdout", evaluation["holdout"]))
    for title, scores in parts:
        yield f"{title}: {count(scores['num_slides'], 'slide')} in {count(scores['num_groups'], 'group')}"
        for metric in dict.fromkeys([primary, *METRIC_NAMES]) if details else [primary]:
            yield f"  {metric:<18} {_interval(scores[metric])}"
        for name, baseline in scores["baselines"].items():
            yield f"  {_BASELINES.get(name, name):<18} {_interval(baseline[primary])}  ({primary})"
        if details:
            yield f"  {'class':<22} {'precision':>9} {'recall':>9} {'f1':>9} {'slides':>7} {'log loss':>9}"
            for label, row in scores["per_class"].items():
                values = " ".join(f"{_number(row[key]):>9}" for key in ("precision", "recall", "f1"))
                yield f"  {label:<22} {values} {row['support']:>7} {_number(row['log_loss']):>9}"
        yield f"  {describe_right(scores)} {describe_weakest(scores)}".rstrip()
        for note in scores.get("notes", ()):
            # What is said of a metric that is not shown would only crowd out the rest.
            if details or not note.startswith("AUROC"):
                yield f"  note: {note}"
    mean = evaluation["fold_mean"][primary]
    if mean["num_folds"] > 1:
        yield f"mean of {count(mean['num_folds'], 'fold')}: {primary} {_number(mean['mean'])} sd {_number(mean['std'])}"
    if details:
        yield f"highest loss (of {len(evaluation['highest_losses'])} in evaluation.json)"
        for row in evaluation["highest_losses"][:_SHOWN_LOSSES]:
            yield f"  {_number(row['log_loss'])}  {row['slide']}: {row['label']}, predicted {row['predicted']}"


def _interval(score: Mapping[str, Any]) -> str:
    return f"{_number(score['value'])}  [{_number(score['low'])}, {_number(score['high'])}]"


def _number(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value["value"]
    return "   -  " if value is None else f"{value:.3f}"
