"""Pictures of a search: its history, and each parameter against the validation score."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tilewise.reporting.svg import drawing, element, path
from tilewise.tuning.space import Alternatives, Branch, Parameter, Space
from tilewise.tuning.trial import Trial

_HISTORY = (680.0, 260.0)
_SLICE = (230.0, 150.0)
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 10.0, 10.0, 30.0
_LONGEST_LABEL = 11
_MOST_TICKS = 10


@dataclass(frozen=True)
class Slice:
    """One parameter against the score.

    Attributes:
        name: of the parameter.
        chart: its picture.
        importance: share of the variation that it explains; None where that is not known.
    """

    name: str
    chart: Markup
    importance: float | None


@dataclass(frozen=True)
class _Scores:
    """The range of scores that all pictures share."""

    low: float
    high: float

    @classmethod
    def of(cls, trials: Sequence[Trial], *more: float) -> _Scores:
        values = [*(score for trial in trials if (score := shown_score(trial)) is not None), *more]
        low, high = math.floor(10 * min(values)) / 10, math.ceil(10 * max(values)) / 10
        return cls(low, high if high > low else low + 0.1)

    def y(self, value: float, height: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return height - _BOTTOM - share * (height - _TOP - _BOTTOM)

    def grid(self, width: float, height: float) -> Iterator[Markup]:
        for value in (self.low, (self.low + self.high) / 2, self.high):
            y = self.y(value, height)
            yield element("line", x1=_LEFT, x2=width - _RIGHT, y1=y, y2=y, class_="grid")
            yield element("text", f"{value:.2g}", x=_LEFT - 6, y=y + 4, class_="tick", text_anchor="end")


def shown_score(trial: Trial) -> float | None:
    """Its value, or the mean of the folds it was made on; None where it has none."""
    if trial.value is not None or not trial.by_fold:
        return trial.value
    return sum(trial.by_fold.values()) / len(trial.by_fold)


def history(trials: Sequence[Trial], first: float, winner: int | None, metric: str) -> Markup:
    """Every trial as a dot, hollow where it was pruned, the best so far as a line; dashed, the recipe as it is."""
    (width, height), scores = _HISTORY, _Scores.of(trials, first)
    last = max([trial.number for trial in trials] or [0])

    def x(number: float) -> float:
        return _LEFT + 8 + number / max(1, last) * (width - _LEFT - _RIGHT - 16)

    def parts() -> Iterator[Markup]:
        yield from scores.grid(width, height)
        y = scores.y(first, height)
        yield element("line", x1=_LEFT, x2=width - _RIGHT, y1=y, y2=y, class_="kept")
        best, steps = first, [(x(0) - 8, y)]
        for trial in trials:
            best = max(best, trial.value or best)
            steps += [(x(trial.number), steps[-1][1]), (x(trial.number), scores.y(best, height))]
        yield element("path", d=path([*steps, (width - _RIGHT, steps[-1][1])]), class_="line best")
        for trial in trials:
            yield from _dot(trial, x(trial.number), scores, height, is_winner=trial.number == winner)
        for number in range(0, last + 1, math.ceil(max(1, last) / _MOST_TICKS)):
            yield element("text", str(number), x=x(number), y=height - 12, class_="tick", text_anchor="middle")

    label = f"{metric} on validation of {len(trials)} trials in their order, with the best so far."
    return drawing(width, height, parts(), label=label, class_="chart history")


def slices(
    space: Space, trials: Sequence[Trial], importances: dict[str, float], winner: int | None, metric: str
) -> list[Slice]:
    """A picture for each parameter, the most important first, and those of single alternatives last."""
    scores = _Scores.of(trials) if any(trial.by_fold for trial in trials) else _Scores(0.0, 1.0)
    made = []
    for axis in _axes(space.root):
        own = [trial for trial in trials if axis.name in trial.parameters]
        if own:
            chart = _slice(axis, own, scores, winner, metric)
            made.append(Slice(axis.name, chart, importances.get(axis.name)))
    return sorted(made, key=lambda one: -1.0 if one.importance is None else one.importance, reverse=True)


def _axes(branch: Branch) -> Iterator[Parameter | Alternatives]:
    yield from branch.parameters
    for one in branch.alternatives:
        yield one
        for below in one.branches:
            yield from _axes(below)


def _slice(
    axis: Parameter | Alternatives, trials: Sequence[Trial], scores: _Scores, winner: int | None, metric: str
) -> Markup:
    width, height = _SLICE
    labels = axis.labels
    values = axis.values if isinstance(axis, Parameter) and not labels else None
    ends = (0.0, 1.0) if values is None else (float(values.low or 0), float(values.high or 0))
    is_log = values is not None and values.log

    def x(value: float) -> float:
        low, high, at = (math.log(one) for one in (*ends, value)) if is_log else (*ends, value)
        return _LEFT + 8 + (at - low) / (high - low) * (width - _LEFT - _RIGHT - 16)

    def place(trial: Trial) -> float:
        value = trial.parameters[axis.name]
        if values is not None:
            return x(float(value))
        options = axis.values.choices if isinstance(axis, Parameter) else list(labels)
        return x(((options or []).index(value) + 0.5) / len(labels))

    def parts() -> Iterator[Markup]:
        yield from scores.grid(width, height)
        if values is None:
            for number, label in enumerate(labels):
                text = label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"
                at = x((number + 0.5) / len(labels))
                yield element("text", text, x=at, y=height - 12, class_="tick", text_anchor="middle")
        else:
            for end, anchor in zip(ends, ("start", "end"), strict=True):
                yield element("text", f"{end:g}", x=x(end), y=height - 12, class_="tick", text_anchor=anchor)
        for trial in trials:
            yield from _dot(trial, place(trial), scores, height, is_winner=trial.number == winner)

    label = f"{metric} on validation against {axis.name}, {len(trials)} trials."
    return drawing(width, height, parts(), label=label, class_="chart slice")


def _dot(trial: Trial, x: float, scores: _Scores, height: float, *, is_winner: bool) -> Iterator[Markup]:
    score = shown_score(trial)
    if score is None:
        return
    kind = "winner" if is_winner else trial.state
    text = f"trial {trial.number}: {score:.3f}{'' if trial.value is not None else f' ({trial.state})'}"
    yield element(
        "circle", element("title", text), cx=x, cy=scores.y(score, height), r=6.0 if is_winner else 3.5,
        class_=f"trial {kind}",
    )  # fmt: skip
