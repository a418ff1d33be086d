"""Classifier and new slides in, maps of where it sees a class out."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tilewise.auditing.notes import NoteKind, note_kinds
from tilewise.cohort import Cohort
from tilewise.cohort.inputs import inputs_of
from tilewise.errors import UsageError
from tilewise.execution import Failure, task
from tilewise.explain.config import ExplainConfig
from tilewise.explain.output import PAGE, TABLE, PageFacts, write_explanation
from tilewise.explain.slide import SlideExplained
from tilewise.explain.words import describe_methods, describe_models
from tilewise.inference.classifier import ClassifierBundle
from tilewise.inference.load_classifier import EnsembleClassifier
from tilewise.models.networks import NetworkModel
from tilewise.pipeline.run_predictor import NewSlides, PreparedSlides, RunPrediction, RunPredictor
from tilewise.run_folder import RunFolder
from tilewise.store import check_out


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
    classifier: ClassifierBundle | EnsembleClassifier,
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
    slides = NewSlides(chosen, workers, offline)
    predictor = RunPredictor.of(single, slides)
    if any(isinstance(member, NetworkModel) for member in single.members):
        from tilewise.explain.grad_cam import import_grad_cam

        import_grad_cam()  # what is missing is noticed before any slide is looked at
    prepared = predictor.prepare(slides)
    prediction = predictor.predict(prepared)
    explained, lost = _explain(single, prepared, prediction, config.class_name)
    slide_notes = note_kinds(prediction.slide_notes)
    order = [slide.slide_id for slide in chosen.slides]
    unread = {failure.item: f"it could not be read: {failure.message}" for failure in lost}
    without = {name: why for name in order if (why := (dict(prediction.unpredicted) | unread).get(name))}
    facts = PageFacts(
        recipe=str(single.recipe["name"]),
        cohort=cohort.root,
        models=describe_models(single),
        methods=describe_methods(single),
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


def _single(classifier: ClassifierBundle | EnsembleClassifier) -> ClassifierBundle:
    if isinstance(classifier, EnsembleClassifier):
        names = ", ".join(classifier.parts)
        raise UsageError(
            f"this run combines several ({names}), which may look at other tiles and know no common layer; explain one "
            f"of them instead, the run {next(iter(classifier.parts))} say"
        )
    num_networks = sum(isinstance(member, NetworkModel) for member in classifier.members)
    if 0 < num_networks < len(classifier.members):
        raise UsageError(
            f"{num_networks} of {len(classifier.members)} folds of this run chose to train networks, the others heads, "
            "and their maps have nothing in common; train with --presets fast, which has heads alone, and explain that"
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
    classifier: ClassifierBundle, prepared: PreparedSlides, prediction: RunPrediction, class_name: str | None
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
        each = prepared.inputs.tile_values(
            classifier.members, classifier.weights, class_indices=wanted, prediction=prediction.members
        )
        for name, values in each:
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
