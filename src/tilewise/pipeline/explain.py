"""Classifier and new slides in, maps of where it sees a class out."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from tilewise.auditing.notes import NoteKind, note_kinds
from tilewise.cohort import Cohort
from tilewise.cohort.inputs import inputs_of
from tilewise.encoders.runtime import num_processors
from tilewise.errors import UsageError
from tilewise.execution import Failure, task
from tilewise.explain.config import ExplainConfig
from tilewise.explain.output import PAGE, TABLE, PageFacts, write_explanation
from tilewise.explain.slide import SlideExplained
from tilewise.explain.values import TileValues, activations_of, values_of_heads
from tilewise.explain.words import models_of, said_of
from tilewise.inference.classifier import SlideClassifier
from tilewise.inference.ensemble import EnsembleClassifier
from tilewise.inference.slide_tiles import InputSpec, SlideTiles
from tilewise.inference.tilestore import TileStore
from tilewise.models import FoldModel
from tilewise.models.networks import NetworkModel
from tilewise.pipeline.predict_part import PartPrediction, PartPredictor, PreparedSlides, Shared
from tilewise.pipeline.slide_inputs import FeatureInputs, TileInputs
from tilewise.runs import RunFolder
from tilewise.store import check_out
from tilewise.tiles.fields import middle_of
from tilewise.tiles.window import Boxes

Look = TypeVar("Look")


@dataclass(frozen=True)
class ExplainResult:
    """What became of slides that were to be explained.

    Attributes:
        page: where the page is.
        table: where the table of tiles is.
        pictures: slide -> its picture.
        drawn: slide -> the class that is drawn.
        without: slide -> why it has no map.
        warnings: what a person should know, slide by slide.
        failures: slides that could not be read.
        slide_notes: what was taken for what in the slides' files, by kind.
    """

    page: Path
    table: Path
    pictures: Mapping[str, Path]
    drawn: Mapping[str, str]
    without: Mapping[str, str]
    warnings: tuple[str, ...]
    failures: tuple[Failure, ...]
    slide_notes: tuple[NoteKind, ...] = ()


def explain(
    classifier: SlideClassifier | EnsembleClassifier,
    cohort: Cohort,
    config: ExplainConfig,
    *,
    out: Path,
    workers: int | None = None,
    offline: bool = False,
) -> ExplainResult:
    """Draw where a run's classifier sees a class on slides, which are prepared as in `predict`.

    Raises:
        UsageError: `out` holds other things, the class or a slide is unknown, the classifier is an ensemble of runs, or
            the library that networks on pixels need is not installed.
        EncoderUnavailable: the encoder's weights are not here, or are others than in training.
        CohortError: not one slide can be read.
        NoTiles: not one slide yields a tile.
    """
    single = _single(classifier)
    # Pictures must not fall on a cohort's slides.
    check_out(out, mark=TABLE, contents="pictures", inputs=inputs_of(cohort))
    _check_class(config.class_name, single.classes)
    chosen = _chosen(cohort, config)
    shared = Shared(chosen, workers, offline)
    predictor = PartPredictor.of(single, shared)
    if predictor.recipe.training.input == "tiles":
        from tilewise.explain.activation import import_grad_cam

        import_grad_cam()  # what is missing is noticed before any slide is looked at
    prepared = predictor.prepare(shared)
    prediction = predictor.predict(prepared)
    explained, lost = _explain(single, prepared, prediction, config.class_name)
    slide_notes = note_kinds(prediction.slide_notes)
    order = [slide.slide_id for slide in chosen.slides]
    unread = {failure.item: f"it could not be read: {failure.message}" for failure in lost}
    without = {name: why for name in order if (why := (dict(prediction.unseen) | unread).get(name))}
    facts = PageFacts(
        recipe=str(single.recipe["name"]),
        cohort=cohort.root,
        models=models_of(single),
        said=said_of(single),
        without=without,
        notes=(*prediction.notes, *(kind.sentence() for kind in slide_notes)),
    )
    with RunFolder(out).locked():
        pictures, without, undrawn = write_explanation(out, explained, facts, workers=workers)
    warned = (f"{one.slide.slide_id}: {text}" for one in explained for text in one.warnings)
    return ExplainResult(
        page=out / PAGE,
        table=out / TABLE,
        pictures=pictures,
        drawn={one.slide.slide_id: one.class_name for one in explained if one.slide.slide_id in pictures},
        without=without,
        warnings=(*prediction.notes, *(f"{name} has no map: {why}" for name, why in without.items()), *warned),
        failures=tuple(dict.fromkeys((*prediction.failures, *lost, *undrawn))),
        slide_notes=slide_notes,
    )


def _single(classifier: SlideClassifier | EnsembleClassifier) -> SlideClassifier:
    if isinstance(classifier, EnsembleClassifier):
        names = ", ".join(classifier.parts)
        raise UsageError(
            f"this run combines several ({names}), which may look at other tiles and know no common layer; explain one "
            f"of them instead, the run {next(iter(classifier.parts))} say"
        )
    return classifier


def _check_class(name: str | None, classes: Sequence[str]) -> None:
    if name is not None and name not in classes:
        near = difflib.get_close_matches(name, classes, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"--class {name}: {hint}the run knows {', '.join(classes)}")


def _chosen(cohort: Cohort, config: ExplainConfig) -> Cohort:
    """The cohort with the slides that are asked for alone, in its order."""
    known = {slide.slide_id for slide in cohort.slides}
    for name in config.slides:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "give names as the table has them"
            raise UsageError(f"--slides {name}: no such slide in {cohort.root}; {hint}")
    wanted = set(config.slides) or known
    return replace(cohort, slides=tuple(slide for slide in cohort.slides if slide.slide_id in wanted)[: config.limit])


def _explain(
    classifier: SlideClassifier, prepared: PreparedSlides, prediction: PartPrediction, class_name: str | None
) -> tuple[list[SlideExplained], tuple[Failure, ...]]:
    """Slides that could be predicted, in order, and those that could not be read a second time."""
    items = {item.slide_id: item for item in prepared.audited.slides}
    classes, rows = classifier.classes, prediction.probabilities
    wanted = {
        name: int(row_C.argmax()) if class_name is None else classes.index(class_name) for name, row_C in rows.items()
    }
    explained: list[SlideExplained] = []
    failures: list[Failure] = []
    with task("explaining", len(wanted)) as bar:
        for name, values in _values(classifier, prepared, prediction, wanted):
            bar.advance()
            if isinstance(values, Failure):
                failures.append(values)
                continue
            best = int(rows[name].argmax())
            one = SlideExplained(
                slide=items[name],
                class_name=classes[wanted[name]],
                probability=float(rows[name][wanted[name]]),
                predicted=classes[best],
                highest=float(rows[name][best]),
                values=values,
                warnings=tuple(prediction.warnings.get(name, ())),
            )
            explained.append(one)
    return explained, tuple(failures)


def _values(
    classifier: SlideClassifier, prepared: PreparedSlides, prediction: PartPrediction, wanted: Mapping[str, int]
) -> Iterator[tuple[str, TileValues | Failure]]:
    slide_inputs = prepared.inputs.slide_inputs
    inputs = [one for one in slide_inputs if isinstance(one, FeatureInputs)]
    if not inputs:
        stores = [one.store for one in slide_inputs if isinstance(one, TileInputs)]
        yield from _values_of_networks(classifier, prepared, prediction, wanted, stores)
        return
    heads = [member for member in classifier.members if isinstance(member, FoldModel)]
    for name, index in wanted.items():
        bags = [prepare.bags[name] for prepare in inputs]
        yield name, values_of_heads(heads, classifier.weights, _for_each(bags, heads), index)


def _values_of_networks(
    classifier: SlideClassifier,
    prepared: PreparedSlides,
    prediction: PartPrediction,
    wanted: Mapping[str, int],
    stores: Sequence[TileStore],
) -> Iterator[tuple[str, TileValues | Failure]]:
    from tilewise.explain.activation import ClassActivation
    from tilewise.training.networks.engine import find_device

    recipe = prepared.preparer.recipe
    threads, device = recipe.training.epoch_config.num_threads or num_processors(), find_device(recipe.training).type
    members = [member for member in classifier.members if isinstance(member, NetworkModel)]
    networks = [ClassActivation(member, num_threads=threads, device=device) for member in members]
    num_fields = InputSpec.by(recipe.network, recipe.encoder, recipe.tiles).num_fields
    rows, crop_px = prepared.tiles.rows(), recipe.network.crop_px

    def seen_of(boxes: Boxes, fields: Boxes) -> tuple[Boxes, Boxes]:
        """What of the tiles the networks see."""
        return (boxes, fields) if crop_px is None else middle_of(boxes, fields, crop_px / recipe.tiles.size_px)

    for input_spec in zip(*(store.each(list(wanted)) for store in stores), strict=True):
        name = input_spec[0][0]
        failed = [found for _, found in input_spec if isinstance(found, Failure)]
        if failed:
            yield name, failed[0]
            continue
        tiles = _for_each([found for _, found in input_spec if isinstance(found, SlideTiles)], networks)
        own = rows[name][::num_fields]
        own = own[~own.training_only]
        probabilities_MT = prediction.tiles[name][:, :, wanted[name]].astype(np.float64)
        yield (
            name,
            TileValues(
                *seen_of(own.boxes, own.fields),
                np.average(probabilities_MT, axis=0, weights=classifier.weights),
                activations_THW=activations_of(networks, classifier.weights, tiles, wanted[name]),
            ),
        )


def _for_each(inputs: list[Look], models: Sequence[object]) -> list[Look]:
    """What each model is shown: one look for all, or a look of its own for each."""
    return inputs * len(models) if len(inputs) == 1 else inputs
