"""What is known of a trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["finished", "pruned", "failed"]


@dataclass(frozen=True)
class Trial:
    """One set of values and what it scores.

    Attributes:
        number: from 0, in the order in which values were drawn.
        state: finished on all folds; pruned, because its folds fall behind those of the best; or failed.
        value: mean of the metric over the validation parts of the folds; None unless it is finished.
        by_fold: the metric on each fold's validation part.
        parameters: name of a parameter, or of alternatives, -> its value.
        settings: recipe key -> value, those that are the same for all trials of a branch included.
        seconds: that it took.
        error: why it failed.
    """

    number: int
    state: State
    value: float | None
    by_fold: Mapping[int, float] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"by_fold": {str(fold): value for fold, value in self.by_fold.items()}}


def best_trial(trials: tuple[Trial, ...]) -> Trial | None:
    """The finished trial of the highest value, the first of equals; None without any."""
    finished = [trial for trial in trials if trial.value is not None]
    return max(finished, key=lambda trial: trial.value or 0.0) if finished else None
