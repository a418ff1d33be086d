"""A run as a notebook shows it: its score beside guessing, class by class, and what to know before believing it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from tilewise.cohort.notebook import heading_html, list_html, page_html, paragraph_html, table_html
from tilewise.evaluation.evaluation import Evaluation
from tilewise.reporting.headline import METRIC_NAMES, Row, headline

# A chart of 0 to 1: the line is the interval, the large circle the value, the small ones single folds.
_WIDTH, _HEIGHT = 160, 12


def run_html(root: Path, evaluation: Evaluation, warnings: Sequence[str], report: Path) -> str:
    """One fragment of HTML.

    Args:
        root: folder of the run.
        evaluation: its scores.
        warnings: what to know before believing them.
        report: the whole report.
    """
    head = headline(evaluation.to_json())
    metric = METRIC_NAMES[evaluation.metric]
    classes = evaluation.out_of_fold.per_class
    return page_html(
        heading_html(f"Run {root}", f"{metric} {evaluation.primary}"),
        paragraph_html(" ".join(filter(None, (head.right, head.weakest, head.verdict, head.few_units)))),
        table_html((metric, "", head.level, "0 to 1"), [_score_cells(row) for row in head.rows]),
        table_html(
            ("class", "slides", "precision", "recall", "F1"),
            [(name, row.support, row.precision, row.recall, row.f1) for name, row in classes.items()],
        ),
        list_html("Before believing it:", warnings),
        paragraph_html(f"The whole report: `{report}`"),
    )


def _score_cells(row: Row) -> tuple[object, ...]:
    name = Markup("{}<br><small>{}</small>").format(row.label, row.detail) if row.detail else row.label
    return name, "-" if row.value is None else f"{row.value:.2f}", row.range, _chart(row)


def _chart(row: Row) -> Markup:
    middle = _HEIGHT // 2
    marks = [_line(0.0, 1.0, middle, 1, 0.2)]
    if row.low is not None and row.high is not None:
        marks.append(_line(row.low, row.high, middle, 3, 0.5))
    marks += [_circle(dot, middle, 2) for dot in row.dots]
    if row.value is not None and not row.dots:
        marks.append(_circle(row.value, middle, 4))
    return Markup('<svg width="{}" height="{}" role="img">{}</svg>').format(_WIDTH, _HEIGHT, Markup("").join(marks))


def _line(low: float, high: float, middle: int, width: int, opacity: float) -> Markup:
    return Markup(
        '<line x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}" stroke="currentColor" stroke-width="{}" stroke-opacity="{}"/>'
    ).format(_WIDTH * low, _WIDTH * high, middle, middle, width, opacity)


def _circle(value: float, middle: int, radius: int) -> Markup:
    place = min(max(_WIDTH * value, radius), _WIDTH - radius)
    return Markup('<circle cx="{:.1f}" cy="{}" r="{}" fill="currentColor"/>').format(place, middle, radius)
