"""What a search came to: the winner, its scores on the outer slides, and the words for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tilewise.evaluation.difference import MetricDifference
from tilewise.evaluation.results import few_units
from tilewise.metrics import METRIC_NAMES, PrimaryMetric
from tilewise.pipeline.finished_run import Run
from tilewise.recipe import Recipe
from tilewise.store import write_editable, write_json
from tilewise.tuning.outer_scores import OuterScores
from tilewise.tuning.trial import Trial
from tilewise.wording import count

RESULT = "tune.json"
SCHEMA, VERSION = "tilewise.tuning", 1


@dataclass(frozen=True)
class TunedRecipe:
    """A search that came to its end.

    Attributes:
        out: its folder.
        recipe: the winner, as it was trained here.
        run: of the winner.
        trials: all that were made, by number.
        winner: number of the winning trial; None where the recipe as it is has the highest validation score.
        metric: that the search goes by.
        level: of the intervals.
        scores: of the winner.
        first_scores: of the recipe as it is.
        gain: the deployed classifier of the winner against that of the recipe as it is, on the outer slides; None
            where they are one.
        importances: parameter -> share of the variation of values that it explains, of those that every trial has.
        num_outer_slides: that the search never saw.
        num_winners: how many winners have been scored on them by now, in searches that were extended.
        num_missing: trials that were not made because the time was over.
    """

    out: Path
    recipe: Recipe
    run: Run
    trials: tuple[Trial, ...]
    winner: int | None
    metric: PrimaryMetric
    level: float
    scores: OuterScores
    first_scores: OuterScores
    gain: MetricDifference | None
    importances: Mapping[str, float]
    num_outer_slides: int
    num_winners: int
    num_missing: int

    @property
    def page(self) -> Path:
        """The search to look at."""
        return self.out / "tune.html"

    @property
    def csv(self) -> Path:
        """The trials to compute with."""
        return self.out / "tune.csv"

    @property
    def winning_trial(self) -> Trial | None:
        """The trial that won."""
        return next((trial for trial in self.trials if trial.number == self.winner), None)

    def sentences(self) -> list[str]:
        """What the search came to, what to expect of it, and what it says nothing about."""
        name, scores = METRIC_NAMES[self.metric], self.scores
        pruned = sum(trial.state == "pruned" for trial in self.trials)
        failed = sum(trial.state == "failed" for trial in self.trials)
        made = f"{count(len(self.trials), 'trial')}, {pruned} of them pruned and {failed} failed"
        what = "the recipe as it is" if self.winner is None else f"trial {self.winner}"
        sentences = [f"Of {made}, {what} has the highest validation {name}: {scores.validation:.3f}."]
        sentences.append(
            f"On {count(self.num_outer_slides, 'outer slide')}, which the search never saw, its models score "
            f"{scores.outer:.3f}: the optimism of choosing, and of stopping by the same slides, is "
            f"{scores.optimism:+.3f}. All models together, as deployed, score {scores.deployed:.3f}: that interval, "
            "not the value alone, is what to expect of new slides."
        )
        if self.gain is not None:
            gain = self.gain.difference
            if gain.low == gain.high:
                verdict = "and an interval without width: both predict these alike, so that they cannot tell them apart"
            else:
                verdict = (
                    "which is more than other slides make it" if (gain.low or 0.0) > 0.0 else "which may be chance"
                )
            sentences.append(
                f"Against the recipe as it is ({self.first_scores.deployed:.3f}) that is {gain:+.3f} on the same "
                f"slides, {verdict}."
            )
        holdout = self.run.evaluation.holdout
        if holdout is not None and (few := few_units(holdout.num_groups, holdout.interval.unit)):
            sentences.append(f"{few} `folds.holdout_fraction` sets more slides apart.")
        if self.num_winners > 1:
            sentences.append(
                f"{self.num_winners} winners of this search, which was extended, have been scored on the outer slides "
                "by now: whoever chooses between them by that has none left that are unseen."
            )
        if self.num_missing:
            sentences.append(f"{count(self.num_missing, 'trial')} were not made in time; the same command goes on.")
        return sentences

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "metric": self.metric,
            "level": self.level,
            "winner": self.winner,
            "run": self.run.folder.root.name,
            "scores": asdict(self.scores),
            "recipe_as_it_is": asdict(self.first_scores),
            "gain": None
            if self.gain is None
            else {"difference": asdict(self.gain.difference), "p_value": self.gain.p_value},
            "importances": dict(self.importances),
            "num_outer_slides": self.num_outer_slides,
            "num_winners_scored": self.num_winners,
            "sentences": self.sentences(),
            "trials": [trial.to_json() for trial in self.trials],
        }

    def write(self) -> None:
        """Write `tune.json` and `tune.csv`."""
        write_json(self.out / RESULT, self.to_json(), schema=SCHEMA, version=VERSION)
        frame = pd.DataFrame([_row(trial) for trial in self.trials])
        write_editable(self.csv, frame.to_csv(index=False, lineterminator="\n", float_format="%.6g"))


def _row(trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": trial.state,
        "validation": trial.value,
        **{f"fold_{fold}": value for fold, value in trial.by_fold.items()},
        **{name: value if isinstance(value, str) else json.dumps(value) for name, value in trial.parameters.items()},
        "seconds": trial.seconds,
        "error": trial.error or "",
    }
