"""A comparison of recipes as a page that loads nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from tilewise.evaluation.comparison import Comparison, RecipePair
from tilewise.metrics import METRIC_NAMES
from tilewise.reporting.svg import drawing, element, mark
from tilewise.reporting.templates import environment, read
from tilewise.reporting.text import NOTHING, number, p_value, percent, signed
from tilewise.store import write_text
from tilewise.version import __version__

_WIDTH, _ROW, _LABEL, _FIGURES, _AXIS = 900.0, 44.0, 300.0, 190.0, 34.0


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write the page; the same comparison gives the same text."""
    labels = [("", comparison)]
    if comparison.corrected is not None:
        labels = [("On the table's own labels", comparison), ("On corrected labels", comparison.corrected)]
    reach = _reach([pair for _, one in labels for pair in one.pairs], comparison.metric)
    view = {
        "comparison": comparison,
        "answers": comparison.answers(),
        "paired": comparison.pairs[0].paired,
        "metric_name": METRIC_NAMES[comparison.metric],
        "metric_names": METRIC_NAMES,
        "labels": [
            {
                "title": title,
                "pairs": one.pairs,
                "recipe_rows": recipe_cells(one),
                "pair_rows": pair_cells(one),
                "forest": difference_forest(one.pairs, comparison.metric, reach=reach),
            }
            for title, one in labels
        ],
        "style": read("report.css") + read("compare.css"),
        "version": __version__,
    }
    write_text(path, environment().get_template("compare.html").render(view))


def recipe_cells(comparison: Comparison) -> list[tuple[str, ...]]:
    """A row for each recipe: name, mean score, scores of its runs, p-value against guessing."""
    rows: list[tuple[str, ...]] = []
    for recipe in comparison.recipes:
        scores = recipe.scores[comparison.metric]
        defined = [score for score in scores if score is not None]
        mean = sum(defined) / len(defined) if len(defined) == len(scores) else None
        runs = ", ".join(f"{name} {number(score, 3)}" for name, score in zip(recipe.runs, scores, strict=True))
        rows.append((recipe.name, number(mean, 3), runs, p_value(recipe.guessing_p_value)))
    return rows


def pair_cells(comparison: Comparison) -> list[tuple[str, ...]]:
    """A row for each pair: names, difference, interval, three p-values, probabilities that A is better, alike, B."""
    rows = []
    for pair in comparison.pairs:
        one = pair.paired.metrics[comparison.metric]
        value, low, high = one.difference
        better, worse = one.probability_better(one.margin), one.probability_worse(one.margin)
        alike = None if better is None or worse is None else max(0.0, 1.0 - better - worse)
        interval = NOTHING if low is None else f"{signed(low)} to {signed(high)}"
        p_values = (one.p_value, pair.adjusted[comparison.metric], one.fold_p_value)
        rows.append(
            (
                f"{pair.a} less {pair.b}",
                signed(value),
                interval,
                *map(p_value, p_values),
                *(percent(probability) for probability in (better, alike, worse)),
            )
        )
    return rows


def difference_forest(pairs: tuple[RecipePair, ...], metric: str, *, reach: float) -> Markup:
    """Differences with their intervals on a scale from `-reach` to `reach`, the margin around zero shaded."""
    estimates = [pair.paired.metrics[metric].difference for pair in pairs]
    margin = pairs[0].paired.margin
    height = _ROW * len(pairs) + _AXIS

    def across(value: float) -> float:
        return _LABEL + (value + reach) / (2.0 * reach) * (_WIDTH - _LABEL - _FIGURES)

    bottom = height - _AXIS
    parts = [
        element(
            "rect", x=across(-margin), y=0.0, width=across(margin) - across(-margin), height=bottom, class_="margin"
        ),
        element("line", x1=across(0.0), x2=across(0.0), y1=0.0, y2=bottom, class_="zero"),
    ]
    step = _tick_step(reach)
    for index in range(-int(reach / step), int(reach / step) + 1):
        text = signed(index * step, 2) if index else "0"
        parts.append(
            element("text", text, x=across(index * step), y=bottom + 22.0, class_="tick", text_anchor="middle")
        )
    for index, (pair, one) in enumerate(zip(pairs, estimates, strict=True)):
        y = _ROW * (index + 0.5)
        parts.append(element("text", _short(pair.a), x=0.0, y=y - 3.0, class_="recipe"))
        parts.append(element("text", f"less {_short(pair.b)}", x=0.0, y=y + 14.0, class_="other"))
        if one.value is None or one.low is None or one.high is None:
            continue
        class_ = "clear" if pair.is_clear(metric) else "open"
        figures = f"{signed(one.value)}  ({signed(one.low, 2)} to {signed(one.high, 2)})"
        low, high = across(one.low), across(one.high)
        parts.append(
            mark(
                f"{pair.a} less {pair.b}: {figures}",
                element("rect", x=low, y=y - 10.0, width=high - low, height=20.0, class_="reach"),
                element("line", x1=low, x2=high, y1=y, y2=y, class_=f"bar {class_}"),
                element("circle", cx=across(one.value), cy=y, r=5.5, class_=f"point {class_}"),
            )
        )
        parts.append(element("text", figures, x=_WIDTH, y=y + 5.0, class_="figures", text_anchor="end"))
    return drawing(_WIDTH, height, parts, label=f"Differences of {METRIC_NAMES[metric]}", class_="chart differences")


def _reach(pairs: Sequence[RecipePair], metric: str) -> float:
    """How far from zero a scale goes that holds all intervals."""
    estimates = [pair.paired.metrics[metric].difference for pair in pairs]
    ends = [abs(end) for one in estimates for end in (one.low, one.high) if end is not None]
    return 1.05 * max([2.0 * pairs[0].paired.margin, *ends])


def _tick_step(reach: float) -> float:
    """A round step that gives two to five ticks on each side."""
    power = 10.0 ** math.floor(math.log10(reach))
    return next(power * part for part in (2.0, 1.0, 0.5, 0.2) if reach / (power * part) >= 2.0)


def _short(name: str, most: int = 38) -> str:
    return name if len(name) <= most else f"…{name[-most + 1 :]}"
