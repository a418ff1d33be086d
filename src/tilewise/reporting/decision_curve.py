"""The decision curve of two classes, and what it says in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tilewise.reporting.svg import Frame, drawing, element, mark, path
from tilewise.reporting.text import interval, number, percent

_WIDTH, _HEIGHT, _BELOW = 460.0, 250.0, 0.25  # the last: how far below 0 the drawing reaches, of the highest value


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit of one set of slides, in words, as a chart, and the rows of the table.

    Attributes:
        title: which slides.
        sentence: where the model is of use.
        positive: the class that is acted on.
        share: of the slides that are of it.
        chart: of the curve.
        points: of the table, as the evaluation has them.
    """

    title: str
    sentence: str
    positive: str
    share: float
    chart: Markup
    points: tuple[Mapping[str, Any], ...]


def decision_curves(evaluation: Mapping[str, Any]) -> list[DecisionCurve]:
    """Out of fold, then the hold-out; nothing for more than two classes, or where probabilities are not calibrated."""
    titles = {"out_of_fold": "Out of fold, pooled", "holdout": "Hold-out"}
    return [
        DecisionCurve(
            titles[part],
            _sentence(scores["points"]),
            scores["positive"],
            scores["share"],
            _chart(scores),
            tuple(scores["points"][1::2]),
        )
        for part, scores in evaluation.get("net_benefit", {}).items()
    ]


def _sentence(points: Sequence[Mapping[str, Any]]) -> str:
    useful = [p["threshold"] for p in points if p["gain"]["low"] is not None and p["gain"]["low"] > 0.0]
    better = [point["threshold"] for point in points if point["gain"]["value"] > 0.0]
    if useful:
        between = (
            f"from {percent(useful[0])} to {percent(useful[-1])}" if len(useful) > 1 else f"of {percent(useful[0])}"
        )
        return (
            f"Acting on the classifier is better than acting on every slide and on none at thresholds {between}: there "
            "the interval of the gain is above 0."
        )
    if better:
        return "Whether acting on the classifier is better than acting on every slide or on none cannot be told here."
    return "Acting on the classifier is at no threshold better than acting on every slide or on none."


def _chart(scores: Mapping[str, Any]) -> Markup:
    points = scores["points"]
    highest: float = max([scores["share"], *(point["model"]["high"] or 0.0 for point in points)])
    lowest: float = -_BELOW * highest

    def share_of(value: float) -> float:
        share: float = (min(highest, max(lowest, value)) - lowest) / (highest - lowest)
        return share

    frame = Frame(_WIDTH, _HEIGHT, points[0]["threshold"], points[-1]["threshold"], left=44.0)
    parts = []
    for value in (lowest, 0.0, highest / 2, highest):
        (left, y), (right, _) = (frame.at(x, share_of(value)) for x in (frame.first, frame.last))
        parts.append(element("line", x1=left, x2=right, y1=y, y2=y, class_="kept" if value == 0.0 else "grid"))
        parts.append(element("text", number(value), x=left - 5, y=y + 3.5, class_="tick", text_anchor="end"))
    for x, anchor in ((frame.first, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (frame.last, "end")):
        across, bottom = frame.at(x, 0.0)
        parts.append(element("text", percent(x), x=across, y=bottom + 14, class_="tick", text_anchor=anchor))
    across, bottom = frame.at(0.5, 0.0)
    label = f"least probability of {scores['positive']} that is acted on"
    parts.append(element("text", label, x=across, y=bottom + 29, class_="tick", text_anchor="middle"))

    def line(values: Sequence[float]) -> list[tuple[float, float]]:
        return [frame.at(p["threshold"], share_of(value)) for p, value in zip(points, values, strict=True)]

    if all(point["model"]["low"] is not None for point in points):
        upper, lower = (line([point["model"][end] for point in points]) for end in ("high", "low"))
        parts.append(element("path", d=path([*upper, *reversed(lower)], closed=True), class_="area"))
    every = [
        at
        for at, point in zip(line([point["treat_all"] for point in points]), points, strict=True)
        if point["treat_all"] > lowest
    ]
    parts.append(element("path", d=path(every), class_="line train"))
    parts.append(element("path", d=path(line([point["model"]["value"] for point in points])), class_="line validation"))
    for point in points:
        words = (
            f"At {percent(point['threshold'])}: classifier {number(point['model']['value'], 3)} "
            f"({interval(point['model'], 3)}), every slide {number(point['treat_all'], 3)}, none 0"
        )
        parts.append(mark(words, frame.column(point["threshold"], (_WIDTH - 52) / len(points))))
    return drawing(_WIDTH, _HEIGHT, parts, label="Net benefit by threshold", class_="chart large")
