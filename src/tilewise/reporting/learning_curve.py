"""The score against the number of slides: as a section of a run's report, and as a page of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tilewise.metrics import METRIC_NAMES
from tilewise.reporting.svg import Frame, drawing, element, mark, path
from tilewise.reporting.templates import environment, read
from tilewise.reporting.text import interval, number
from tilewise.store import read_json, write_text
from tilewise.version import __version__

SCHEMA, VERSION = "tilewise.learning-curve", 2
_WIDTH, _HEIGHT = 640.0, 320.0


@dataclass(frozen=True)
class CurveSection:
    """A learning curve in words, as a chart, and as rows of size, score and gain."""

    sentence: str
    chart: Markup
    rows: tuple[tuple[float, Mapping[str, Any], Mapping[str, Any]], ...]
    metric_name: str
    level: float
    num_trainings: int
    num_test_slides: int
    run_score: float


def read_curve(path: Path) -> Mapping[str, Any] | None:
    """The curve that `tilewise curve` left in a run; None where there is none.

    Raises:
        ArtifactError: it is damaged.
    """
    return read_json(path, schema=SCHEMA, version=VERSION) if path.is_file() else None


def curve_section(curve: Mapping[str, Any]) -> CurveSection:
    """What a page says of a curve, `LearningCurve.to_json()`."""
    expected = curve["expected"]
    return CurveSection(
        sentence=str(curve["sentence"]),
        chart=_chart(curve),
        rows=tuple(zip(expected["sizes"], expected["scores"], expected["gains"], strict=True)),
        metric_name=METRIC_NAMES[curve["metric"]],
        level=float(curve["level"]),
        num_trainings=len(curve["points"]),
        num_test_slides=int(curve["num_test_slides"]),
        run_score=float(curve["points"][-1]["score"]),
    )


def write_curve_page(path: Path, curve: Mapping[str, Any]) -> None:
    """Write the page; the same curve gives the same text."""
    view = {
        "curve": curve_section(curve),
        "run": curve["run"],
        "style": read("report.css"),
        "version": __version__,
    }
    write_text(path, environment().get_template("learning_curve.html").render(view))


def _chart(curve: Mapping[str, Any]) -> Markup:
    """Every training as a dot, the run as a larger one, and what is expected beyond it with its interval."""
    points: Sequence[Mapping[str, float]] = curve["points"]
    sizes, expected = [point["num_slides"] for point in points], curve["expected"]
    name = METRIC_NAMES[curve["metric"]]
    ends = math.log(min(sizes) * 0.9), math.log(max(expected["sizes"]) * 1.05)
    frame = Frame(_WIDTH, _HEIGHT, *ends, left=44.0, right=16.0, top=12.0, bottom=40.0)

    def at(size: float, value: float) -> tuple[float, float]:
        return frame.at(math.log(size), value)

    def parts() -> Iterator[Markup]:
        ticks = [math.log(size) for size in [min(sizes), *expected["sizes"]]]
        yield from frame.grid(
            xs=ticks, x_label="slides learnt from in each fold", write=lambda log_size: f"{math.exp(log_size):.0f}"
        )
        pairs = list(zip(expected["sizes"], expected["scores"], strict=True))
        above = [at(size, one["high"] or 0.0) for size, one in pairs]
        below = [at(size, one["low"] or 0.0) for size, one in reversed(pairs)]
        yield element("path", d=path([*above, *below], closed=True), class_="area")
        law = [at(point["num_slides"], point["score"]) for point in curve["law"]]
        yield element("path", d=path(law), class_="line law")
        yield element("path", d=path([at(size, one["value"]) for size, one in pairs]), class_="line beyond")
        for size, one in pairs[1:]:
            words = f"{size:.0f} slides: {name} {number(one['value'])} ({interval(one)}) is expected"
            yield mark(words, frame.column(math.log(size), 24.0))
        for point in points:
            own = point is points[-1]
            x, y = at(point["num_slides"], point["score"])
            words = f"{'the run, ' if own else ''}{point['num_slides']:.0f} slides: {name} {number(point['score'])}"
            class_ = f"dot {'validation' if own else 'train'}"
            yield mark(words, element("circle", cx=x, cy=y, r=5.5 if own else 3.0, class_=class_))

    label = f"{name} against the number of slides"
    return drawing(_WIDTH, _HEIGHT, parts(), label=label, class_="chart curve", description=str(curve["sentence"]))
