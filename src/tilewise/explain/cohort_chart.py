"""The map of a cohort as inline SVG; a point says what it is when one points at it, and shows its neighbours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tilewise.explain.cohort_map import CohortMap, MappedSlide
from tilewise.interchange.qupath import class_colours
from tilewise.reporting.svg import drawing, element, path

_WIDTH, _HEIGHT, _PAD = 960, 520, 24
_RADIUS = 7.0
# One shape for each of the eight colours, so that neither has to be told apart alone.
MARKS = ("circle", "square", "triangle", "diamond", "plus", "pentagon", "star", "hexagon")


@dataclass(frozen=True)
class _Chart:
    cohort_map: CohortMap
    classes: Sequence[str]
    anchors: Mapping[str, str]
    places: Mapping[str, tuple[float, float]]


def cohort_chart(cohort_map: CohortMap, classes: Sequence[str], anchors: Mapping[str, str]) -> Markup:
    """Every slide as a mark of its class; those predicted wrong have a ring.

    Args:
        cohort_map: the slides and their places.
        classes: in the order of their colours.
        anchors: slide -> its figure on the page, of those that have one.
    """
    places_S2 = _PAD + cohort_map.places_S2 * (_WIDTH - 2 * _PAD, _HEIGHT - 2 * _PAD)
    places = {one.name: (x, _HEIGHT - y) for one, (x, y) in zip(cohort_map.slides, places_S2.tolist(), strict=True)}
    chart = _Chart(cohort_map, classes, anchors, places)
    frame = element("rect", x=0.5, y=0.5, width=_WIDTH - 1, height=_HEIGHT - 1, class_="plane")
    num_wrong = sum(not one.is_right for one in cohort_map.slides)
    label = (
        f"Map of {len(cohort_map.slides)} slides by their features ({cohort_map.method}), coloured by class; "
        f"{num_wrong} were predicted wrong and have a ring."
    )
    points = [_point(one, chart) for one in cohort_map.slides]
    return drawing(_WIDTH, _HEIGHT, [frame, *points], label=label, class_="cohort")


def mark(
    name: str, classes: Sequence[str], *, at: tuple[float, float] = (10.0, 10.0), standalone: bool = False
) -> Markup:
    """The mark of a class: a shape and a colour of its own; from the ninth class on they come again.

    Args:
        name: of the class.
        classes: in the order of their colours.
        at: its middle.
        standalone: in an `svg` of its own, for text.
    """
    number, (x, y) = list(classes).index(name), at
    colour = "#{:02x}{:02x}{:02x}".format(*class_colours(classes)[name])
    shape = _shape(MARKS[number % len(MARKS)], x, y)
    # Black marks would not be seen on a dark page.
    drawn = element("path", d=shape, fill="currentColor" if colour == "#000000" else colour, class_="symbol")
    if not standalone:
        return drawn
    return element("svg", drawn, viewBox="0 0 20 20", class_="inline", aria_hidden="true")


def _point(one: MappedSlide, chart: _Chart) -> Markup:
    at, neighbours = chart.places[one.name], chart.cohort_map.neighbours[one.name]
    lines = [
        one.name,
        f"labelled {one.label}",
        "predicted right" if one.is_right else f"predicted wrong: {one.predicted}",
        f"its label got {one.label_probability:.2f}",
        f"{chart.cohort_map.num_agreeing(one)} of {len(neighbours)} neighbours have its label",
    ]
    ties = [
        element("line", x1=at[0], y1=at[1], x2=x, y2=y) for x, y in (chart.places[other.name] for other in neighbours)
    ]
    ring = [] if one.is_right else [element("circle", cx=at[0], cy=at[1], r=_RADIUS + 5, class_="wrong")]
    href, text = chart.anchors.get(one.name), "; ".join(lines)
    # The script of all pages looks for `mark`, and says its title beside it: lines to neighbours stay outside.
    drawn = element(
        "a" if href else "g",
        element("title", text),
        element("circle", cx=at[0], cy=at[1], r=_RADIUS + 5, class_="target"),
        *ring,
        mark(one.label, chart.classes, at=at),
        href=None if href is None else f"#{href}",
        class_="mark",
        tabindex=0,
        role="link" if href else "img",
        aria_label=text,
    )
    return element("g", element("g", *ties, class_="ties"), drawn, class_="point")


def _shape(kind: str, x: float, y: float) -> str:
    """Path of a mark; all have about the same area."""
    if kind == "circle":
        r = _RADIUS - 1
        return f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0Z"
    corners = {
        "square": (4, 45.0),
        "triangle": (3, 90.0),
        "diamond": (4, 90.0),
        "pentagon": (5, 90.0),
        "hexagon": (6, 0.0),
    }
    if kind in corners:
        num, turn = corners[kind]
        radius = _RADIUS + (1.5 if kind == "triangle" else 0.5)
        angles = [math.radians(turn + 360.0 * step / num) for step in range(num)]
        return path([(x + radius * math.cos(angle), y - radius * math.sin(angle)) for angle in angles], closed=True)
    if kind == "star":
        angles = [math.radians(90.0 + 36.0 * step) for step in range(10)]
        radii = [_RADIUS + 2, 0.45 * (_RADIUS + 2)] * 5
        points = [(x + r * math.cos(angle), y - r * math.sin(angle)) for r, angle in zip(radii, angles, strict=True)]
        return path(points, closed=True)
    arm, half = _RADIUS, 2.3
    steps = [
        (-half, -arm), (half, -arm), (half, -half), (arm, -half), (arm, half), (half, half), (half, arm), (-half, arm),
        (-half, half), (-arm, half), (-arm, -half), (-half, -half),
    ]  # fmt: skip
    return path([(x + dx, y + dy) for dx, dy in steps], closed=True)
