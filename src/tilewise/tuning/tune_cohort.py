"""Cohort, recipe and space in; trials, a winner and what it scores on slides the search never saw out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tilewise.errors import UsageError
from tilewise.evaluation.compare import paired_difference
from tilewise.evaluation.difference import MetricDifference
from tilewise.evaluation.results import few_units
from tilewise.evaluation.sample import Sample
from tilewise.execution import task
from tilewise.folds import Folds
from tilewise.metrics import METRIC_NAMES, PrimaryMetric
from tilewise.pipeline.common_folds import common_folds
from tilewise.pipeline.finished_run import Run
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.pipeline.train import train
from tilewise.pipeline.trial_folds import TrialFolds
from tilewise.recipe import Recipe
from tilewise.run_folder import RunFolder
from tilewise.store import digest_config, read_json, visible_names, write_editable, write_json
from tilewise.tuning.outer_scores import OuterScores, outer_scores
from tilewise.tuning.run_trials import Search, run_trials
from tilewise.tuning.space import Space
from tilewise.tuning.study import Study, import_optuna
from tilewise.tuning.trial import Trial, best_trial
from tilewise.wording import count

_IDENTITY, _RESULT = "search.json", "tune.json"
_SCHEMA, _VERSION = "tilewise.tuning", 1
_OUTER_SHARE = 0.25
AS_IT_IS = "as-it-is"


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
        write_json(self.out / _RESULT, self.to_json(), schema=_SCHEMA, version=_VERSION)
        frame = pd.DataFrame([_row(trial) for trial in self.trials])
        write_editable(self.csv, frame.to_csv(index=False, lineterminator="\n", float_format="%.6g"))


def tune_cohort(
    space: Space, recipe: Recipe, out: Path, shared: SharedStages, *, num_trials: int, deadline: float | None = None
) -> TunedRecipe:
    """Search a space of recipes by validation, and score the winner once on slides that the search never saw.

    The outer slides are the hold-out of the folds, a quarter of the slides unless `folds.holdout_fraction` says
    otherwise. Every trial trains the same folds of the others and is scored on their validation parts alone. The same
    call goes on where a stopped one ended, and several processes may give it at the same time; their trials then follow
    from who is faster.

    Args:
        space: what is searched.
        recipe: whose keys are varied.
        out: folder of the search.
        shared: cohort, seed and machine; audit, tiles and features that trials share are made once.
        num_trials: in all, those of earlier calls counted in.
        deadline: when the search ends, by `time.monotonic`; the winner is trained after it.

    Raises:
        RecipeError: the space does not fit the recipe.
        UsageError: the folder holds another search, the cohort cannot be used, or no trial could be made.
        TrainingError: the recipe as it is cannot be trained.
    """
    import_optuna()
    folds_config = recipe.folds
    recipe = with_outer_slides(recipe)
    space.check(recipe)
    out.mkdir(parents=True, exist_ok=True)
    _start_or_resume(space, recipe, out, shared)
    study = Study(out, space, seed=shared.seed)
    with study.locked("finish"):
        shared.tile_folder = out / "shared"
        shared.folds = folds = common_folds([recipe], shared, out / "folds.json")
        _check_parts(folds)
        first = train(recipe, out / AS_IT_IS, shared)
    with task("trials", num_trials) as bar:
        run_trials(study, Search(recipe, shared, num_trials, deadline), bar)
    with study.locked("finish"):
        tuned = _conclude(study, recipe, first, out, shared, num_trials)
        tuned.write()
        # For other cohorts, or for all slides of this one.
        winner = tuned.recipe.with_(folds=folds_config.model_dump(exclude_unset=True))
        write_editable(out / "winner.yaml", winner.to_yaml())
    return tuned


def _conclude(
    study: Study, recipe: Recipe, first: Run, out: Path, shared: SharedStages, num_trials: int
) -> TunedRecipe:
    trials, config = study.trials(), recipe.evaluation
    first_scores = _scores(recipe, first, first.folder, shared)
    best, run, scores, gain = best_trial(trials), first, first_scores, None
    if best is not None and (best.value or 0.0) > float(first_scores.validation):
        note = (
            "Chosen by `tilewise tune` among trials over these slides: only scores on its hold-out, or on other "
            "slides, are of slides that had no part in the choice."
        )
        recipe = recipe.with_(**best.settings, notes=(*recipe.notes, note))
        folder = RunFolder(study.folder(best.number))
        shared.remember(recipe, folder)  # its folds are trained already
        run = train(recipe, out / f"winner-{best.number:04d}", shared)
        scores = _scores(recipe, run, folder, shared)
        outer = [_outer_sample(one) for one in (run, first)]
        gain = paired_difference([outer[0]], [outer[1]], level=config.level).metrics[config.metric]
    else:
        best = None
    return TunedRecipe(
        out=out,
        recipe=recipe,
        run=run,
        trials=trials,
        winner=None if best is None else best.number,
        metric=config.metric,
        level=config.level,
        scores=scores,
        first_scores=first_scores,
        gain=gain,
        importances=study.importances(),
        num_outer_slides=len(shared.folds.holdout) if shared.folds is not None else 0,
        num_winners=sum(RunFolder(path).is_finished for path in out.glob("winner-*")),
        num_missing=num_trials - len(trials) if len(trials) < num_trials else 0,
    )


def _scores(recipe: Recipe, run: Run, folder: RunFolder, shared: SharedStages) -> OuterScores:
    """Of a run, whose models lie in `folder` or are copied there."""
    shared.remember(recipe, run.folder)
    trained = TrialFolds.prepare(recipe, folder, shared)
    numbers = [number for number, fold in enumerate(trained.folds.folds) if fold.validation]
    models = {number: trained.train(number) for number in numbers}
    table = run.predictions.table
    validation = table[table["part"] == "validation"]
    assert run.evaluation.holdout is not None
    return outer_scores(
        [validation[validation["fold"] == number] for number in numbers],
        [trained.predict(model, number, "holdout") for number, model in models.items()],
        run.evaluation.holdout.estimate(recipe.evaluation.metric),
        trained.folds.classes,
        recipe.evaluation,
        seed=shared.seed,
    )


def _outer_sample(run: Run) -> Sample:
    table = run.predictions.table
    return Sample.of(table[table["part"] == "holdout"], run.predictions.classes)


def with_outer_slides(recipe: Recipe) -> Recipe:
    """The recipe with a hold-out.

    Raises:
        UsageError: its folds have no place for one, no validation part, or a ladder chooses already.
    """
    if recipe.ladder.rungs:
        raise UsageError(
            f"{recipe.name} has a ladder, which chooses by itself; tune the recipe of one of its rungs, as `default`"
        )
    folds = recipe.folds
    if folds.kind == "leave_one_out":
        raise UsageError("folds.kind=leave_one_out tests every slide and leaves none out; tune with folds.kind=kfold")
    if folds.validation_fraction == 0.0 and folds.source is None:
        raise UsageError("folds.validation_fraction=0 leaves nothing to choose by; set 0.2")
    if folds.holdout_fraction or folds.source is not None:
        return recipe
    return recipe.with_(**{"folds.holdout_fraction": _OUTER_SHARE})


def _check_parts(folds: Folds) -> None:
    if not folds.holdout:
        raise UsageError(
            "no slide is left out of all folds, to score the winner on; give some the split `holdout` in the table"
        )
    if not any(fold.validation for fold in folds.folds):
        raise UsageError("no fold has a validation part to choose by; label slides of more groups")


def _start_or_resume(space: Space, recipe: Recipe, out: Path, shared: SharedStages) -> None:
    """Make the folder this search's, or find that it is."""
    if not is_started(space, recipe, out, shared):
        write_json(out / _IDENTITY, _identity(space, recipe, shared), schema=_SCHEMA, version=_VERSION)


def _identity(space: Space, recipe: Recipe, shared: SharedStages) -> dict[str, Any]:
    decisions = shared.decisions
    return {
        "cohort": str(shared.cohort.root.resolve()),
        "seed": shared.seed,
        "decisions": None if decisions is None else str(decisions.resolve()),
        "recipe": recipe.choices_digest,
        "space": digest_config(repr(space.root)),
    }


def is_started(space: Space, recipe: Recipe, out: Path, shared: SharedStages) -> bool:
    """Whether the folder holds this search; without it, it holds nothing.

    Raises:
        UsageError: it holds another search, or something else.
    """
    path, identity = out / _IDENTITY, _identity(space, recipe, shared)
    if path.is_file():
        saved = read_json(path, schema=_SCHEMA, version=_VERSION)
        changed = [key for key, value in identity.items() if saved.get(key) != value]
        if changed:
            raise UsageError(
                f"{out} holds another search ({', '.join(changed)} changed); choose another --out, or delete that "
                "folder. The number of trials can grow"
            )
        return True
    foreign = visible_names(out)
    if foreign:
        raise UsageError(f"{out} is not empty and holds no search ({foreign[0]}); choose another --out")
    return False


def is_finished(out: Path) -> bool:
    """Whether the folder holds the outcome of a search, which may still be extended."""
    return (out / _RESULT).is_file()


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
