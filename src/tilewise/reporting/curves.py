"""Training curves of each fold, all on the same scales."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tilewise.reporting.data import History
from tilewise.reporting.svg import drawing, element, path

_WIDTH, _HEIGHT = 190.0, 104.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 28.0, 4.0, 8.0, 18.0


@dataclass(frozen=True)
class Curves:
    """The two charts of one fold."""

    fold: int
    kept_epoch: int | None
    loss: Markup
    score: Markup | None
    num_seeds: int = 1


@dataclass(frozen=True)
class _Scale:
    """Data ranges of a chart, shared by all folds."""

    first: int
    last: int
    bottom: float
    top: float

    def point(self, epoch: float, value: float) -> tuple[float, float]:
        across = (epoch - self.first) / max(1, self.last - self.first)
        up = (value - self.bottom) / ((self.top - self.bottom) or 1.0)
        x = _LEFT + across * (_WIDTH - _LEFT - _RIGHT)
        return x, _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)


def training_curves(histories: Sequence[History], metric: str) -> list[Curves]:
    """One pair of charts per fold that was trained for at least one epoch; `metric` is the name of the lower one's."""
    trained = [history for history in histories if history.epochs]
    epochs = [epoch.epoch for history in trained for epoch in history.epochs]
    losses = [
        value
        for history in trained
        for epoch in history.epochs
        for value in (epoch.train_loss, epoch.validation_loss)
        if value is not None
    ]
    if not trained:
        return []
    loss_scale = _Scale(min(epochs), max(epochs), 0.0, _round_up(max(losses)))
    score_scale = _Scale(min(epochs), max(epochs), 0.0, 1.0)
    return [_curves(history, loss_scale, score_scale, metric) for history in trained]


def _curves(history: History, loss_scale: _Scale, score_scale: _Scale, metric: str) -> Curves:
    train = [(epoch.epoch, epoch.train_loss) for epoch in history.epochs]
    validation = [(epoch.epoch, epoch.validation_loss) for epoch in history.epochs if epoch.validation_loss is not None]
    scores = [(epoch.epoch, epoch.validation_score) for epoch in history.epochs if epoch.validation_score is not None]
    loss = _chart(
        f"Loss of fold {history.fold} over epochs",
        loss_scale,
        history.kept_epoch,
        (("train", train), ("validation", validation)),
    )
    if not scores:
        return Curves(history.fold, history.kept_epoch, loss, None, history.num_seeds)
    title = f"{metric} of fold {history.fold} on its validation part over epochs"
    return Curves(
        history.fold,
        history.kept_epoch,
        loss,
        _chart(title, score_scale, history.kept_epoch, (("validation", scores),)),
        history.num_seeds,
    )


def _chart(
    title: str,
    scale: _Scale,
    kept_epoch: int | None,
    lines: Iterable[tuple[str, Sequence[tuple[int, float]]]],
) -> Markup:
    parts = [_gridline(scale, share) for share in (0.0, 0.5, 1.0)]
    for epoch in sorted({scale.first, scale.last}):
        x, _ = scale.point(epoch, scale.bottom)
        anchor = "start" if epoch == scale.first else "end"
        parts.append(element("text", str(epoch), x=x, y=_HEIGHT - 4, class_="tick", text_anchor=anchor))
    if kept_epoch is not None:
        x, y = scale.point(kept_epoch, scale.bottom)
        parts.append(element("line", x1=x, x2=x, y1=_TOP, y2=y, class_="kept"))
    for name, line in lines:
        points = [scale.point(epoch, value) for epoch, value in line]
        if len(points) == 1:
            parts.append(element("circle", cx=points[0][0], cy=points[0][1], r=2.0, class_=f"dot {name}"))
        elif points:
            parts.append(element("path", d=path(points), class_=f"line {name}"))
    return drawing(_WIDTH, _HEIGHT, parts, label=title)


def _round_up(value: float) -> float:
    """The next short number whose half is short too."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(step * power for step in (1.0, 1.2, 1.6, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0) if value <= step * power)


def _gridline(scale: _Scale, share: float) -> Markup:
    value = scale.bottom + share * (scale.top - scale.bottom)
    _, y = scale.point(scale.first, value)
    line = element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="grid")
    return line + element("text", _short(value), x=_LEFT - 5, y=y + 3.5, class_="tick", text_anchor="end")


def _short(value: float) -> str:
    return f"{value:.3g}"
