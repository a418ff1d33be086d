"""Reliability diagrams and the abstention curve, and what they say in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tilewise.reporting.svg import Frame, drawing, element, mark, path
from tilewise.reporting.text import count, interval, number, percent

_SIDE, _WIDTH, _HEIGHT = 300.0, 384.0, 230.0


@dataclass(frozen=True)
class ProbabilityRow:
    """One kind of probabilities on one set of slides.

    Attributes:
        title: which.
        scores: `ProbabilityScores` as plain data.
        confidence: mean probability of the predicted classes.
        right: share of predictions that are right.
        sentence: whether they can be taken at their word.
        diagram: of their reliability.
    """

    title: str
    scores: Mapping[str, Any]
    confidence: float
    right: float
    sentence: str
    diagram: Markup


@dataclass(frozen=True)
class Probabilities:
    """The probabilities of one set of slides, in words and charts.

    `num_overruled` slides are predicted as another class than that of the highest calibrated probability.
    """

    title: str
    rows: tuple[ProbabilityRow, ...]
    sentence: str
    class_shares: Mapping[str, float]
    shares_brier: float
    num_overruled: int | None


def probabilities(evaluation: Mapping[str, Any]) -> list[Probabilities]:
    """Out of fold, then the hold-out; nothing for evaluations of earlier versions."""
    titles = {"out_of_fold": "Out of fold, pooled", "holdout": "Hold-out"}
    return [_probabilities(titles[part], scores) for part, scores in evaluation.get("calibration", {}).items()]


def abstention_chart(points: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Accuracy and macro F1 of the answered slides over the share without an answer; None for fewer than two points."""
    if len(points) < 2:
        return None
    frame = Frame(_WIDTH, _HEIGHT, 0.0, 0.9)
    parts = frame.grid(xs=(0.0, 0.3, 0.6, 0.9), x_label="share of slides without an answer", write=percent)
    known = [point for point in points if point["accuracy"]["low"] is not None]
    if known:
        upper = [frame.at(point["abstained"], point["accuracy"]["high"]) for point in known]
        lower = [frame.at(point["abstained"], point["accuracy"]["low"]) for point in known]
        parts.append(element("path", d=path([*upper, *reversed(lower)], closed=True), class_="area"))
    for metric, class_ in (("macro_f1", "train"), ("accuracy", "validation")):
        line = [(point["abstained"], point[metric]["value"]) for point in points if point[metric]["value"] is not None]
        parts.append(element("path", d=path(frame.at(x, y) for x, y in line), class_=f"line {class_}"))
    width = (_WIDTH - frame.left - frame.right) / len(points)
    parts += [mark(_answered(point), frame.column(point["abstained"], width)) for point in points]
    return drawing(_WIDTH, _HEIGHT, parts, label="Scores of the slides that get an answer", class_="chart large")


def _answered(point: Mapping[str, Any]) -> str:
    least = f"Without the least sure {percent(point['abstained'])}" if point["abstained"] else "Of all slides"
    return (
        f"{least} {percent(point['accuracy']['value'])} ({interval(point['accuracy'])}) are right, "
        f"macro F1 {number(point['macro_f1']['value'])}"
    )


def _probabilities(title: str, scores: Mapping[str, Any]) -> Probabilities:
    rows = [_row("As the models give them", scores["scores"])]
    if scores["calibrated"] is not None:
        rows.append(_row("Calibrated", scores["calibrated"]))
    shares, brier, num_overruled = scores["class_shares"], scores["shares_brier"], scores.get("num_overruled")
    return Probabilities(title, tuple(rows), rows[-1].sentence, shares, brier, num_overruled)


def _row(title: str, scores: Mapping[str, Any]) -> ProbabilityRow:
    bins = scores["bins"]
    num = sum(entry["num_slides"] for entry in bins)
    confidence = sum(entry["confidence"] * entry["num_slides"] for entry in bins) / num
    right = sum(entry["right"]["value"] * entry["num_slides"] for entry in bins) / num
    sentence = _sentence(title, scores, is_too_sure=confidence > right)
    return ProbabilityRow(title, scores, confidence, right, sentence, _diagram(bins, title, sentence))


def _sentence(title: str, scores: Mapping[str, Any], *, is_too_sure: bool) -> str:
    """Whether the probabilities can be taken at their word."""
    error, chance = scores["ece"], scores["chance_ece"]
    which = "Calibrated probabilities" if title == "Calibrated" else "Probabilities"
    against = (
        f"their calibration error is {number(error['value'])} ({interval(error)}), where exact probabilities of as "
        f"many slides have {number(chance['value'])} ({interval(chance)})"
    )
    if chance["high"] is None:
        return f"Whether {which.lower()} are off by more than chance cannot be told: {against}."
    if error["value"] <= chance["high"]:
        return f"{which} show no error beyond chance: {against}."
    lean = "too sure" if is_too_sure else "not sure enough"
    return f"{which} are off by more than chance, on the whole {lean}: {against}."


def _diagram(bins: Sequence[Mapping[str, Any]], title: str, sentence: str) -> Markup:
    frame = Frame(_SIDE, _SIDE, 0.0, 1.0)
    parts = frame.grid(xs=(0.0, 0.5, 1.0), x_label="probability of the predicted class", write=lambda x: f"{x:g}")
    parts.append(element("path", d=path([frame.at(0.0, 0.0), frame.at(1.0, 1.0)]), class_="kept"))
    for entry in bins:
        x, y = frame.at(entry["confidence"], entry["right"]["value"])
        ends = [entry["right"][end] for end in ("low", "high")]
        (_, low), (_, high) = (frame.at(0.0, entry["right"]["value"] if end is None else end) for end in ends)
        words = (
            f"{count(entry['num_slides'], 'slide')} of mean probability {number(entry['confidence'])}: "
            f"{number(entry['right']['value'])} are right ({interval(entry['right'])})"
        )
        parts.append(
            mark(
                words,
                element("rect", x=x - 6, y=high, width=12.0, height=low - high, class_="reach"),
                element("line", x1=x, x2=x, y1=low, y2=high, class_="whisker"),
                element("circle", cx=x, cy=y, r=3.5, class_="dot validation"),
            )
        )
    label = f"Reliability of probabilities: {title}"
    return drawing(_SIDE, _SIDE, parts, label=label, class_="chart large", description=sentence)
