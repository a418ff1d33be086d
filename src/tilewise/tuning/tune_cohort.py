"""Cohort, recipe and space in; trials, a winner and what it scores on slides the search never saw out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tilewise.errors import UsageError
from tilewise.evaluation.compare import paired_difference
from tilewise.evaluation.sample import Sample
from tilewise.execution import task
from tilewise.folds import Folds
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
from tilewise.tuning.trial import best_trial
from tilewise.tuning.tuned_recipe import RESULT, SCHEMA, VERSION, TunedRecipe

_IDENTITY = "search.json"
_OUTER_SHARE = 0.25
AS_IT_IS = "as-it-is"


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
        write_json(out / _IDENTITY, _identity(space, recipe, shared), schema=SCHEMA, version=VERSION)


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
        saved = read_json(path, schema=SCHEMA, version=VERSION)
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
    return (out / RESULT).is_file()
