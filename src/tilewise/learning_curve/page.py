"""The learning curve as a page that loads nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator

from markupsafe import Markup

from tilewise.learning_curve.draw_curve import LearningCurve
from tilewise.metrics import METRIC_NAMES
from tilewise.reporting.svg import drawing, element, path
from tilewise.reporting.templates import environment, read
from tilewise.store import write_text
from tilewise.version import __version__

_WIDTH, _HEIGHT = 640.0, 320.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 16.0, 12.0, 40.0


def write_page(curve: LearningCurve, run: str) -> None:
    """Write the page; the same curve gives the same text."""
    view = {
        "curve": curve,
        "run": run,
        "metric_name": METRIC_NAMES[curve.metric],
        "chart": chart(curve),
        "rows": list(zip(curve.expected.sizes, curve.expected.scores, curve.expected.gains, strict=True)),
        "style": read("report.css") + read("learning_curve.css"),
        "version": __version__,
    }
    write_text(curve.page, environment().get_template("learning_curve.html").render(view))


def chart(curve: LearningCurve) -> Markup:
    """Every training as a dot, the run as a larger one, and what is expected beyond it with its interval."""
    expected, sizes = curve.expected, [point.num_slides for point in curve.points]
    first, last = math.log(min(sizes) * 0.9), math.log(max(expected.sizes) * 1.05)

    def at(size: float, value: float) -> tuple[float, float]:
        across = (math.log(size) - first) / (last - first)
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - value * (_HEIGHT - _TOP - _BOTTOM)

    def parts() -> Iterator[Markup]:
        for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
            _, y = at(sizes[0], tick)
            yield element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="grid")
            yield element("text", f"{tick:g}", x=_LEFT - 8, y=y + 4, class_="tick", text_anchor="end")
        for size in [min(sizes), *expected.sizes]:
            x, y = at(size, 0.0)
            yield element("line", x1=x, x2=x, y1=y, y2=y + 5, class_="grid")
            yield element("text", f"{size:.0f}", x=x, y=y + 18, class_="tick", text_anchor="middle")
        yield element(
            "text", "slides learnt from in each fold", x=(_LEFT + _WIDTH) / 2, y=_HEIGHT - 4, class_="tick",
            text_anchor="middle",
        )  # fmt: skip
        pairs = list(zip(expected.sizes, expected.scores, strict=True))
        above = [at(size, one.high or 0.0) for size, one in pairs]
        below = [at(size, one.low or 0.0) for size, one in reversed(pairs)]
        yield element("path", d=path([*above, *below], closed=True), class_="band")
        law = [at(point.num_slides, point.score) for point in curve.law]
        yield element("path", d=path(law), class_="line train")
        yield element("path", d=path([at(size, float(one)) for size, one in pairs]), class_="line validation")
        for point in curve.points:
            x, y = at(point.num_slides, point.score)
            own = point is curve.points[-1]
            yield element("circle", cx=x, cy=y, r=5.5 if own else 3.0, class_=f"dot {'validation' if own else 'train'}")

    label = f"{METRIC_NAMES[curve.metric]} against the number of slides. {curve.sentence()}"
    return drawing(_WIDTH, _HEIGHT, parts(), label=label, class_="chart curve")
