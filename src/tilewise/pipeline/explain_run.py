"""A finished run in, maps of its own slides out: each by the models that test it, which knew no slide of its group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tilewise.auditing.cohort import AuditedCohort, AuditedSlide
from tilewise.auditing.notes import note_kinds
from tilewise.errors import UsageError
from tilewise.execution import Failure
from tilewise.explain.cohort_map import CohortMap, MappedSlide, map_cohort
from tilewise.explain.config import ExplainConfig
from tilewise.folds import Folds
from tilewise.inference.classifier import Member
from tilewise.inference.predictions import PREFIX, Predictions
from tilewise.models import FoldModel
from tilewise.pipeline.explain import check_class, check_kinds, explain_group, require_grad_cam, slides_to_explain
from tilewise.pipeline.explanation import ExplainResult, Explanation, write
from tilewise.pipeline.fold_models import load_fold_model
from tilewise.pipeline.map_checks import ExplainedGroup
from tilewise.pipeline.masks import readable
from tilewise.pipeline.shared_stages import SharedStages
from tilewise.pipeline.slide_inputs import FeatureInputs, SlideInputs
from tilewise.pipeline.tile_preparer import fold_targets
from tilewise.recipe import Recipe, parse_recipe
from tilewise.run_folder import RunFolder
from tilewise.store import Manifest, check_out
from tilewise.tiles.tileset import TileSet

_LIMIT = 9
_MOST_CHECKED = 200  # slides whose maps are checked beside those that are drawn, where features are stored


def explain_run(folder: RunFolder, shared: SharedStages, config: ExplainConfig, *, out: Path) -> ExplainResult:
    """Draw and check where the models of a run's folds see a class on the slides that they did not know.

    Features come from the cache, and are made again only where it lacks them.

    Args:
        folder: of a finished run.
        shared: the run's cohort, seed and decisions.
        config: which slides and which class.
        out: folder for the page and its pictures.

    Raises:
        UsageError: the run combines several or its cohort has changed since, `out` holds other things, or the class or
            a slide is unknown.
        ArtifactError: a file of the run is damaged.
    """
    identity = folder.require_finished()
    recipe = parse_recipe(identity["recipe"], f"the recipe of {folder.root}")
    folds, predictions = Folds.read(folder.folds), Predictions.read(folder.predictions)
    check_class(config.class_name, predictions.classes)
    table = predictions.per_slide.table
    table = table[(table["part"] == "test") & table["label"].notna()].set_index("slide", drop=False)
    chosen = choose_slides(table, config, predictions.classes)
    check_out(out, mark="explain.csv", contents="pictures")
    models = tuple(load_fold_model(folder, recipe, number) for number in range(len(folds.folds)))
    check_kinds(models)
    require_grad_cam(models)
    audited, workers = _unchanged_cohort(folder, shared, recipe), shared.resources.workers
    slides, inputs, failures = _prepare(folder, shared, recipe, audited, folds)
    # Stored features cost so little that tiles and checks are of many slides; networks see those that are drawn.
    others = [name for name in table.index if name not in chosen] if isinstance(models[0], FoldModel) else []
    explained_names = {*chosen, *others[:_MOST_CHECKED]} & set(inputs)
    tested_alike: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for name in sorted(explained_names):
        tested_alike[folds.testing[name]].append(name)
    groups = []
    for numbers, own in sorted(tested_alike.items()):
        members = tuple(models[number] for number in numbers)
        group, failed = _explain_group(members, inputs.of(*numbers), own, slides, predictions.classes, config)
        groups.append(group)
        failures += failed
    drawn = {one.slide.slide_id: one for group in groups for one in group.explained if one.slide.slide_id in chosen}
    unread = {failure.item: f"it could not be read: {failure.message}" for failure in failures}
    explanation = Explanation(
        recipe=str(recipe.name),
        cohort=shared.cohort.root,
        encoder=shared.encoder_name(recipe),
        models=models,
        classes=predictions.classes,
        drawn=tuple(drawn[name] for name in chosen if name in drawn),
        groups=tuple(groups),
        without={name: unread.get(name, "it has no tile") for name in chosen if name not in drawn},
        out_of_fold=True,
        num_repeats=folds.num_repeats,
        kinds=chosen,
        cohort_map=_map(table, _feature_inputs(inputs)),
        failures=tuple(failures),
        slide_notes=note_kinds({name: audited.notes.get(name, ()) for name in chosen}),
        places=shared.places,
    )
    return write(explanation, out, workers=workers)


def _prepare(
    folder: RunFolder, shared: SharedStages, recipe: Recipe, audited: AuditedCohort, folds: Folds
) -> tuple[Mapping[str, AuditedSlide], SlideInputs[Any], list[Failure]]:
    """The slides with their masks, what models take of them, and those that could not be read."""
    masked, workers = audited, shared.resources.workers
    if recipe.segment.method != "none":
        masked = readable(shared.with_folds(audited, recipe).masks(audited, recipe))
    preparer, lost = shared.preparer(masked, TileSet.read(folder.tiles)[0], recipe).with_profiles(workers=workers)
    preparer, more = preparer.with_context(workers=workers)
    targets = fold_targets(recipe.stain, preparer.profiles, folds)
    without = frozenset(failure.item for failure in (*lost, *more))
    inputs = preparer.prepare(targets, without=without, hold=False)
    return {item.slide_id: item for item in masked.slides}, inputs, [*lost, *more, *inputs.failures]


def _explain_group(
    models: tuple[Member, ...],
    inputs: SlideInputs[Any],
    names: Sequence[str],
    slides: Mapping[str, AuditedSlide],
    classes: tuple[str, ...],
    config: ExplainConfig,
) -> tuple[ExplainedGroup, Sequence[Failure]]:
    """Slides that the same models test, one of each repeat, explained by their mean; and those that could not be."""
    group = ExplainedGroup(models, (1 / len(models),) * len(models), inputs, ())
    explained, failures = explain_group(group, inputs.predict(models, names), slides, classes, config)
    return replace(group, explained=explained), failures


def _unchanged_cohort(folder: RunFolder, shared: SharedStages, recipe: Recipe) -> AuditedCohort:
    """The cohort as the run was trained on it.

    Raises:
        UsageError: it has changed since.
    """
    audited = shared.audit(recipe.audit)
    if Manifest.read(folder.root).inputs.get("cohort") != audited.digest:
        raise UsageError(
            f"{shared.cohort.root}: slides, masks or labels have changed since {folder.root} was trained; give the "
            "folder of slides to explain them as new ones"
        )
    return audited


def choose_slides(table: pd.DataFrame, config: ExplainConfig, classes: Sequence[str]) -> dict[str, str]:
    """Slide -> why it is explained: those that are asked for, else a third each wrong, most unsure and right.

    Wrong ones are those whose label got least, unsure ones those whose two likeliest classes lie nearest, right ones
    those whose label got most, one of each class in turn.

    Args:
        table: out-of-fold predictions, by slide.
        config: what is asked for.
        classes: in the order of the probability columns.

    Raises:
        UsageError: a slide that is asked for was not predicted out of fold.
    """
    wanted = slides_to_explain(config, list(table.index), "the run has not predicted such a slide out of fold")
    if wanted:
        names = [name for name in table.index if name in wanted]
        return dict.fromkeys(names[: config.limit], "")
    limit = config.limit or _LIMIT
    probabilities_SC = table[[PREFIX + name for name in classes]].to_numpy()
    columns = {name: place for place, name in enumerate(classes)}
    of_label = pd.Series(
        [row[columns[label]] for row, label in zip(probabilities_SC, table["label"], strict=True)], table.index
    )
    ordered_SC = np.sort(probabilities_SC, axis=1)
    margins = pd.Series(ordered_SC[:, -1] - ordered_SC[:, -2], table.index)
    is_right = table["label"] == table["predicted"]
    wrong = list(of_label[~is_right].sort_values(kind="stable").index)
    right_rows = (
        table[is_right].assign(of_label=of_label[is_right]).sort_values("of_label", ascending=False, kind="stable")
    )
    right = list(
        right_rows.assign(turn=right_rows.groupby("label").cumcount()).sort_values("turn", kind="stable").index
    )
    unsure = list(margins.sort_values(kind="stable").index)
    share = -(-limit // 3)
    chosen: dict[str, str] = {}
    for kind, names in (("wrong", wrong), ("unsure", unsure), ("right", right)):
        fresh = [name for name in names if name not in chosen]
        chosen |= dict.fromkeys(fresh[: min(share, limit - len(chosen))], kind)
    for name in [name for name in (*right, *wrong) if name not in chosen][: limit - len(chosen)]:
        chosen[name] = "right" if is_right[name] else "wrong"
    return chosen


def _feature_inputs(inputs: object) -> FeatureInputs | None:
    features = getattr(inputs, "features", inputs)
    return features if isinstance(features, FeatureInputs) else None


def _map(table: pd.DataFrame, inputs: FeatureInputs | None) -> CohortMap | None:
    """The map of the slides; None of networks on pixels, which keep no features, and of a single slide."""
    if inputs is None:
        return None
    vectors = inputs.mean_vectors
    slides = [
        MappedSlide(
            str(row["slide"]),
            str(row["label"]),
            str(row["predicted"]),
            float(row[f"{PREFIX}{row['label']}"]),
            str(row["group"]),
        )
        for row in table.to_dict("records")
        if row["slide"] in vectors
    ]
    return map_cohort(slides, vectors) if len(slides) > 2 else None
