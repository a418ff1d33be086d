"""Several finished runs in, one run out that combines them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from tilewise.auditing.table import TableFacts
from tilewise.ensemble.combine import Combined, combine
from tilewise.ensemble.examples import ClassWeighting
from tilewise.ensemble.methods import Method, describe_method
from tilewise.ensemble.record import RECORD_NAME, EnsembleRecord
from tilewise.errors import UsageError
from tilewise.evaluation.compare import paired_difference
from tilewise.evaluation.evaluate_predictions import evaluate_predictions
from tilewise.evaluation.evaluation import Evaluation
from tilewise.evaluation.sample import Sample
from tilewise.inference.combiner import WeightedMean, import_lightgbm
from tilewise.inference.load_classifier import write_ensemble
from tilewise.pipeline.doubtful_labels import save_doubtful_labels
from tilewise.pipeline.environment import describe_environment
from tilewise.pipeline.finished_run import Run
from tilewise.pipeline.sources import Source, digests_of, sources_of
from tilewise.recipe import Recipe
from tilewise.reporting.gather import write_report
from tilewise.run_folder import RunFolder
from tilewise.score_warnings import joined_warnings, read_warnings
from tilewise.store import Manifest, digest_config, digest_file, read_json, verify, write_json

_WEIGHTINGS: dict[str, ClassWeighting] = {"none": "none", "sqrt": "sqrt", "inverse": "inverse", "effective": "inverse"}


@dataclass(frozen=True)
class EnsembleOptions:
    """How runs are combined.

    Attributes:
        out: folder of the combined run.
        method: how.
        seed: of what is random in the fits and of the intervals.
    """

    out: Path
    method: Method
    seed: int = 0


def ensemble(runs: Sequence[RunFolder], options: EnsembleOptions) -> Run:
    """Combine runs of the same folds; the same call on a finished one does nothing.

    Raises:
        UsageError: a folder holds no finished run, the runs cannot be combined, or `out` holds another run.
        ArtifactError: a run is damaged.
    """
    if options.method.startswith("stack-boosting"):
        import_lightgbm()
    sources = sources_of(runs)
    folder = RunFolder(options.out)
    with folder.locked():
        identity = _identity(sources, options)
        _refuse_other(folder, identity)
        folder.start_or_resume(identity, _recipe_yaml(sources, options))
        finished = _load_finished(folder)
        return finished or _make(folder, sources, options)


def _make(folder: RunFolder, sources: Sequence[Source], options: EnsembleOptions) -> Run:
    first = sources[0]
    weighting = class_weighting([source.recipe for source in sources])
    library = [source.run for source in sources]
    metric = first.recipe.evaluation.metric
    combined = combine(library, options.method, weighting=weighting, seed=options.seed, metric=metric)
    folds = first.run.folds
    folds.write(folder.folds)
    models = {source.name: source.folder.model for source in sources}
    calibration = combined.predictions.fit_calibration()
    write_ensemble(folder.model, models, combined.combiner, options.method, calibration)
    inputs = digest_config([digest_file(folder.folds), combined.combiner.to_json(), options.method])
    predictions = combined.predictions.calibrated()
    predictions.write(folder.predictions, inputs=inputs)
    save_doubtful_labels(folder, predictions)
    evaluation = evaluate_predictions(
        predictions.table,
        folds,
        first.recipe.evaluation,
        classes=folds.classes,
        seed=options.seed,
        facts=TableFacts(**folder.read_identity()["table"]),
        out=folder.evaluation,
    )
    record = _record(sources, combined, options, weighting)
    record.write(folder.root / RECORD_NAME)
    write_json(folder.environment, _environment(sources, options), schema="tilewise.environment", version=1)
    write_report(folder)
    Manifest.of_folder(folder.root, {"seed": options.seed, "runs": digests_of(sources)}).write(folder.root)
    return Run(folder, evaluation, (), read_warnings(folder))


def class_weighting(recipes: Sequence[Recipe]) -> ClassWeighting:
    """How classes are weighed where a combiner is fitted to a loss: as the runs were trained, `sqrt` where they differ.

    Other weights would undo what training did for the rare classes.
    """
    asked = {
        "inverse" if recipe.training.sampling.balance == "class" else _WEIGHTINGS[recipe.training.loss.class_weights]
        for recipe in recipes
    }
    only: ClassWeighting = asked.pop() if len(asked) == 1 else "sqrt"
    return only


def _identity(sources: Sequence[Source], options: EnsembleOptions) -> dict[str, Any]:
    first = sources[0]
    return {
        "cohort": first.identity["cohort"],
        # Only what is needed to score the run again: each run's own recipe stands in recipe.yaml.
        "recipe": {
            "name": options.method,
            "description": f"combined of {', '.join(source.name for source in sources)}",
            "evaluation": first.recipe.evaluation.model_dump(mode="json"),
        },
        "seed": options.seed,
        "decisions": first.identity["decisions"],
        "notes": first.identity["notes"],
        "table": TableFacts.read(first.folder.slides).to_json(),
        "created": datetime.now(UTC).date().isoformat(),
        "ensemble": {"method": options.method, "runs": digests_of(sources)},
    }


def _refuse_other(folder: RunFolder, identity: Mapping[str, Any]) -> None:
    """A folder is one combination's; what differs is named."""
    if not folder.identity.is_file():
        return
    other_identity = folder.read_identity()
    if "ensemble" not in other_identity:
        raise UsageError(f"{folder.root} holds a run that was trained; choose another --out")
    wanted, present = identity["ensemble"], other_identity["ensemble"]
    for what, left, right in (
        ("--method", present["method"], wanted["method"]),
        ("--seed", other_identity["seed"], identity["seed"]),
        ("the runs", list(present["runs"]), list(wanted["runs"])),
    ):
        if left != right:
            raise UsageError(
                f"{folder.root} holds another combination ({what}: {left} there, {right} here); choose another --out, "
                "or delete that folder"
            )
    changed = [name for name, digest in wanted["runs"].items() if present["runs"][name] != digest]
    if changed:
        raise UsageError(
            f"{folder.root} was combined from another run {changed[0]}, which has been trained again since; choose "
            "another --out, or delete that folder"
        )


def _load_finished(folder: RunFolder) -> Run | None:
    """The combination that is already here, if it is whole."""
    if not folder.is_finished or any(damage.what != "unlisted" for damage in verify(folder.root)):
        return None
    evaluation = Evaluation.read(folder.evaluation)
    return Run(folder, evaluation, (), read_warnings(folder), was_finished=True)


def _recipe_yaml(sources: Sequence[Source], options: EnsembleOptions) -> str:
    """The combination and every run's recipe, in one file."""
    plain = {
        "ensemble": {"method": options.method, "seed": options.seed, "runs": [source.name for source in sources]},
        "recipes": {source.name: source.recipe.model_dump(mode="json") for source in sources},
    }
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110)


def _record(
    sources: Sequence[Source], combined: Combined, options: EnsembleOptions, weighting: ClassWeighting
) -> EnsembleRecord:
    parts = ["test", *(["holdout"] if sources[0].run.folds.holdout else [])]
    config, classes, table = sources[0].recipe.evaluation, combined.predictions.classes, combined.predictions.table
    fitted = isinstance(combined.combiner, WeightedMean)

    def difference(source: Source, part: str) -> dict[str, Any]:
        other = source.run.predictions.table
        samples = (Sample.of(rows[rows["part"] == part], classes) for rows in (table, other))
        return paired_difference(*(sample.repeats for sample in samples), level=config.level).to_json()

    return EnsembleRecord(
        method=options.method,
        words=describe_method(options.method),
        runs=tuple(source.name for source in sources),
        recipes=tuple(source.recipe.name for source in sources),
        class_weighting=weighting,
        weights=_weights(combined.combiner) if fitted else None,
        fold_weights=tuple(_weights(one) for one in combined.fold_combiners) if fitted else None,
        validation_scores=combined.validation_scores,
        best_run=combined.best_run,
        differences={part: [difference(source, part) for source in sources] for part in parts},
        scored_holdout="holdout" in parts,
        warnings=joined_warnings([source.folder for source in sources], [source.name for source in sources]),
    )


def _weights(combiner: object) -> tuple[float, ...]:
    assert isinstance(combiner, WeightedMean)
    return combiner.weights


def _environment(sources: Sequence[Source], options: EnsembleOptions) -> dict[str, Any]:
    """Of the combination; how each run's encoder was run stands under its name."""
    encoders = {
        source.name: read_json(source.folder.environment, schema="tilewise.environment", version=1)["encoder"]
        for source in sources
    }
    environment = describe_environment(encoders)
    if options.method.startswith("stack-boosting"):
        environment["packages"] = environment["packages"] | {"lightgbm": import_lightgbm().__version__}
    return environment
