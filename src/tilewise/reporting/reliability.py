"""Reliability diagrams and the abstention curve, and what they say in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tilewise.reporting.svg import drawing, element, path
from tilewise.reporting.text import interval, number, percent

_SIDE, _WIDTH, _HEIGHT = 300.0, 384.0, 230.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 8.0, 8.0, 34.0


@dataclass(frozen=True)
class ProbabilityRow:
    """One kind of probabilities on one set of slides.

    Attributes:
        title: which.
        scores: `ProbabilityScores` as plain data.
        confidence: mean probability of the predicted classes.
        right: share of predictions that are right.
        diagram: of their reliability.
    """

    title: str
    scores: Mapping[str, Any]
    confidence: float
    right: float
    diagram: Markup


@dataclass(frozen=True)
class Probabilities:
    """The probabilities of one set of slides, in words and charts."""

    title: str
    rows: tuple[ProbabilityRow, ...]
    sentence: str
    class_shares: Mapping[str, float]
    shares_brier: float


def probabilities(evaluation: Mapping[str, Any]) -> list[Probabilities]:
    """Out of fold, then the hold-out; nothing for evaluations of earlier versions."""
    titles = {"out_of_fold": "Out of fold, pooled", "holdout": "Hold-out"}
    return [_probabilities(titles[part], scores) for part, scores in evaluation.get("calibration", {}).items()]


def abstention_chart(points: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Accuracy and macro F1 of the answered slides over the share without an answer; None for fewer than two points."""
    if len(points) < 2:
        return None
    frame = _Frame(_WIDTH, _HEIGHT, 0.0, 0.9)
    parts = frame.grid(xs=(0.0, 0.3, 0.6, 0.9), x_label="share of slides without an answer", write=percent)
    known = [point for point in points if point["accuracy"]["low"] is not None]
    if known:
        upper = [frame.at(point["abstained"], point["accuracy"]["high"]) for point in known]
        lower = [frame.at(point["abstained"], point["accuracy"]["low"]) for point in known]
        parts.append(element("path", d=path([*upper, *reversed(lower)], closed=True), class_="area"))
    for metric, class_ in (("macro_f1", "train"), ("accuracy", "validation")):
        line = [(point["abstained"], point[metric]["value"]) for point in points if point[metric]["value"] is not None]
        parts.append(element("path", d=path(frame.at(x, y) for x, y in line), class_=f"line {class_}"))
    return drawing(_WIDTH, _HEIGHT, parts, label="Scores of the slides that get an answer", class_="chart large")


def _probabilities(title: str, scores: Mapping[str, Any]) -> Probabilities:
    rows = [_row("As the models give them", scores["scores"])]
    if scores["calibrated"] is not None:
        rows.append(_row("Calibrated", scores["calibrated"]))
    return Probabilities(title, tuple(rows), _sentence(rows[-1]), scores["class_shares"], scores["shares_brier"])


def _row(title: str, scores: Mapping[str, Any]) -> ProbabilityRow:
    bins = scores["bins"]
    num = sum(entry["num_slides"] for entry in bins)
    confidence = sum(entry["confidence"] * entry["num_slides"] for entry in bins) / num
    right = sum(entry["right"]["value"] * entry["num_slides"] for entry in bins) / num
    return ProbabilityRow(title, scores, confidence, right, _diagram(bins, title))


def _sentence(row: ProbabilityRow) -> str:
    """Whether the probabilities can be taken at their word."""
    error, chance = row.scores["ece"], row.scores["chance_ece"]
    which = "Calibrated probabilities" if row.title == "Calibrated" else "Probabilities"
    against = (
        f"their calibration error is {number(error['value'])} ({interval(error)}), where exact probabilities of as "
        f"many slides have {number(chance['value'])} ({interval(chance)})"
    )
    if error["value"] <= chance["high"]:
        return f"{which} show no error beyond chance: {against}."
    lean = "too sure" if row.confidence > row.right else "not sure enough"
    return f"{which} are off by more than chance, on the whole {lean}: {against}."


@dataclass(frozen=True)
class _Frame:
    """A chart whose ordinate runs from 0 to 1, in its box."""

    width: float
    height: float
    first: float
    last: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.first) / (self.last - self.first)
        return (
            _LEFT + across * (self.width - _LEFT - _RIGHT),
            self.height - _BOTTOM - y * (self.height - _TOP - _BOTTOM),
        )

    def grid(self, *, xs: Iterable[float], x_label: str, write: Any) -> list[Markup]:
        parts = []
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            (left, y), (right, _) = self.at(self.first, share), self.at(self.last, share)
            parts.append(element("line", x1=left, x2=right, y1=y, y2=y, class_="grid"))
            parts.append(element("text", f"{share:g}", x=left - 5, y=y + 3.5, class_="tick", text_anchor="end"))
        for x in xs:
            across, bottom = self.at(x, 0.0)
            anchor = {self.first: "start", self.last: "end"}.get(x, "middle")
            parts.append(element("text", write(x), x=across, y=bottom + 14, class_="tick", text_anchor=anchor))
        middle, bottom = self.at((self.first + self.last) / 2, 0.0)
        parts.append(element("text", x_label, x=middle, y=bottom + 29, class_="tick", text_anchor="middle"))
        return parts


def _diagram(bins: Sequence[Mapping[str, Any]], title: str) -> Markup:
    frame = _Frame(_SIDE, _SIDE, 0.0, 1.0)
    parts = frame.grid(xs=(0.0, 0.5, 1.0), x_label="probability of the predicted class", write=lambda x: f"{x:g}")
    parts.append(element("path", d=path([frame.at(0.0, 0.0), frame.at(1.0, 1.0)]), class_="kept"))
    for entry in bins:
        x, y = frame.at(entry["confidence"], entry["right"]["value"])
        (_, low), (_, high) = (frame.at(0.0, entry["right"][end]) for end in ("low", "high"))
        parts.append(element("line", x1=x, x2=x, y1=low, y2=high, class_="whisker"))
        parts.append(element("circle", cx=x, cy=y, r=3.5, class_="dot validation"))
    return drawing(_SIDE, _SIDE, parts, label=f"Reliability of probabilities: {title}", class_="chart large")
