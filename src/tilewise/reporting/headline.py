"""The first thing a reader sees: the score, how sure it is, and guessing on the same scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tilewise import metrics, wording
from tilewise.evaluation.results import QUESTIONS, few_units
from tilewise.reporting.text import count, interval, number, percent

METRIC_NAMES = {metric: name[0].upper() + name[1:] for metric, name in metrics.METRIC_NAMES.items()}


@dataclass(frozen=True)
class Row:
    """One row of an interval chart. Positions run from 0 to 1; `dots` are single folds."""

    label: str
    detail: str
    kind: Literal["score", "baseline", "folds"]
    value: float | None
    low: float | None
    high: float | None
    dots: tuple[float, ...] = ()

    @property
    def range(self) -> str:
        """The interval in figures."""
        return interval({"low": self.low, "high": self.high})

    @property
    def words(self) -> str:
        """What the row says on hover."""
        figures = f"{number(self.value)} ({self.range})" if self.low is not None else number(self.value)
        single = f"; {', '.join(map(number, self.dots))}" if self.dots else ""
        return f"{self.label}: {figures}{f', {self.detail}' if self.detail else ''}{single}"


@dataclass(frozen=True)
class Headline:
    """The score, how sure and of what it is, right slides, the weakest class, more scores, the verdict, the chart."""

    metric: str
    value: str
    interval: str
    level: str
    few_units: str
    subject: str
    right: str
    weakest: str
    scores: str
    verdict: str
    beats_guessing: bool
    rows: tuple[Row, ...]
    band: tuple[float, float] | None


def headline(evaluation: Mapping[str, Any]) -> Headline:
    """The headline of an evaluation: its pooled out-of-fold score, beside the hold-out, the folds and guessing."""
    pooled, metric = evaluation["out_of_fold"], primary_metric(evaluation)
    verdict, is_better = _verdict(pooled, metric)
    random = pooled["baselines"]["random"][metric]
    return Headline(
        metric=METRIC_NAMES[metric],
        value=number(pooled[metric]["value"]),
        interval=interval(pooled[metric]),
        level=f"{100 * pooled['interval']['level']:g} % interval of {interval_question(pooled)}",
        few_units=few_units(pooled["num_groups"], pooled["interval"]["unit"]),
        subject=_subject(pooled, metric),
        right=describe_right(pooled),
        weakest=describe_weakest(pooled),
        scores=_scores(pooled, metric),
        verdict=verdict,
        beats_guessing=is_better,
        rows=tuple(_rows(evaluation)),
        band=None if random["low"] is None else (random["low"], random["high"]),
    )


def primary_metric(evaluation: Mapping[str, Any]) -> str:
    """The metric that the recipe chose; runs of earlier versions knew macro F1 alone."""
    return str(evaluation.get("metric", "macro_f1"))


def interval_question(scores: Mapping[str, Any]) -> str:
    """What the intervals hold, in words; those of earlier versions were about the models at hand."""
    return QUESTIONS[scores["interval"].get("question", "models")]


def _rows(evaluation: Mapping[str, Any]) -> list[Row]:
    pooled, holdout, metric = evaluation["out_of_fold"], evaluation.get("holdout"), primary_metric(evaluation)
    rows = [_row("Out of fold, pooled", count(pooled["num_slides"], "slide"), "score", pooled[metric])]
    original = evaluation.get("original_labels")
    if original:
        rows.append(_row("On the table's own labels", "decisions changed some", "score", original[metric]))
    if holdout:
        detail = f"{count(holdout['num_slides'], 'slide')} no fold saw"
        rows.append(_row("Hold-out", detail, "score", holdout[metric]))
    values = (scores[metric]["value"] for scores in evaluation["folds"])
    dots = tuple(value for value in values if value is not None)
    if len(dots) > 1:
        mean = evaluation["fold_mean"][metric]
        detail = f"mean {number(mean['mean'])}, sd {number(mean['std'])}"
        rows.append(Row("Each fold by itself", detail, "folds", mean["mean"], None, None, dots))
    baselines = pooled["baselines"]
    rows.append(
        _row("Always the commonest class", "of each fold's training slides", "baseline", baselines["commonest"][metric])
    )
    rows.append(_row("Guessing at random", "", "baseline", baselines["random"][metric]))
    return rows


def _row(label: str, detail: str, kind: Literal["score", "baseline"], score: Mapping[str, Any]) -> Row:
    return Row(label, detail, kind, score["value"], score["low"], score["high"])


def _subject(scores: Mapping[str, Any], metric: str) -> str:
    groups = f" of {count(scores['num_groups'], 'group')}" if scores["interval"]["unit"] == "group" else ""
    slides = f"{count(scores['num_slides'], 'slide')}{groups}"
    return f"{METRIC_NAMES[metric]} over {slides}, each predicted by a model that never saw it."


def _scores(scores: Mapping[str, Any], metric: str) -> str:
    """The chosen metric and the two that are asked for most."""
    names = dict.fromkeys((metric, "accuracy", "auroc_macro"))
    parts = [
        f"{metrics.METRIC_NAMES[name]} {number(scores[name]['value'])} ({interval(scores[name])})" for name in names
    ]
    return f"Out of fold: {', '.join(parts)}."


def num_repeats(scores: Mapping[str, Any]) -> int:
    """How often each slide was predicted: the confusion matrix counts it every time."""
    return int(sum(map(sum, scores["confusion"]["counts"])) // scores["num_slides"])


def describe_right(scores: Mapping[str, Any]) -> str:
    """How many slides of one set were predicted right, as a sentence."""
    counts = scores["confusion"]["counts"]
    total = sum(map(sum, counts))
    right = sum(row[index] for index, row in enumerate(counts))
    if num_repeats(scores) > 1:
        predictions = f"{total} predictions of {wording.count(scores['num_slides'], 'slide')}"
        return f"{right} of {predictions} ({percent(right / total)}) were right."
    return f"{right} of {wording.count(total, 'slide')} ({percent(right / total)}) were predicted right."


def describe_weakest(scores: Mapping[str, Any]) -> str:
    """The class with the lowest F1, of equals the first, as a sentence; '' where fewer than two classes have one."""
    f1 = {name: row["f1"]["value"] for name, row in scores["per_class"].items() if row["support"]}
    known = {name: value for name, value in f1.items() if value is not None}
    if len(known) < 2:
        return ""
    name = min(known, key=lambda name: known[name])
    if known[name] == max(known.values()):
        return f"No class is weaker than the others: each has an F1 of {number(known[name])}."
    index = scores["confusion"]["labels"].index(name)
    row = scores["confusion"]["counts"][index]
    what = "slide" if num_repeats(scores) == 1 else "prediction"
    ending = "found" if num_repeats(scores) == 1 else "right"
    return f"Weakest class: {name}, F1 {number(known[name])}; {row[index]} of {wording.count(sum(row), what)} {ending}."


def _verdict(scores: Mapping[str, Any], metric: str) -> tuple[str, bool]:
    score, guessing = scores[metric], scores["baselines"]
    if score["value"] is None:
        return "The score is not defined on these slides.", False
    random = guessing["random"][metric]
    ends = (random["high"], guessing["commonest"][metric]["high"], guessing["commonest"][metric]["value"])
    best_guess = max((end for end in ends if end is not None), default=1.0)
    against = (
        f"random guessing scores {interval(random)} on these slides, "
        f"always the commonest class of the fold's training slides {number(guessing['commonest'][metric]['value'])}"
    )
    if score["low"] is None:
        return f"Whether it is better than guessing cannot be told: the score has no interval ({against}).", False
    if score["low"] > best_guess:
        return f"Better than guessing: the whole interval lies above it ({against}).", True
    if score["value"] > best_guess:
        return f"Not safely told from guessing: the interval reaches down to it ({against}).", False
    return f"No better than guessing ({against}).", False
