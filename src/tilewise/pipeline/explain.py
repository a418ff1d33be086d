"""Classifier and new slides in, maps of where it sees a class out; `explain_run` does so with a run's own slides."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tilewise.auditing.cohort import AuditedSlide
from tilewise.auditing.notes import note_kinds
from tilewise.cohort import Cohort
from tilewise.cohort.identifiers import slides_named
from tilewise.cohort.inputs import inputs_of
from tilewise.errors import UsageError
from tilewise.execution import Failure, task
from tilewise.explain.config import ExplainConfig
from tilewise.explain.output import TABLE
from tilewise.explain.slide import SlideExplained
from tilewise.inference.classifier import ClassifierBundle, Member
from tilewise.inference.load_classifier import EnsembleClassifier
from tilewise.inference.network import SlideProbabilities
from tilewise.models.networks import NetworkModel
from tilewise.pipeline.explanation import ExplainResult, Explanation, write
from tilewise.pipeline.imported_features import ImportedFeatures
from tilewise.pipeline.map_checks import ExplainedGroup
from tilewise.pipeline.run_predictor import NewSlides, RunPredictor
from tilewise.store import check_out


def explain(
    classifier: ClassifierBundle | EnsembleClassifier,
    cohort: Cohort,
    config: ExplainConfig,
    *,
    out: Path,
    features: ImportedFeatures | None = None,
    workers: int | None = None,
    offline: bool = False,
) -> ExplainResult:
    """Draw where a run's classifier sees a class on slides, which are prepared as in `predict`.

    Args:
        classifier: of one run.
        cohort: the slides.
        config: which slides and which class.
        out: folder for the page and its pictures.
        features: of the slides, with places, where another program made them.
        workers: processes; None takes every processor.
        offline: never reach for the network.

    Raises:
        UsageError: `out` holds other things, the class or a slide is unknown, the classifier is an ensemble of runs, or
            the library that networks on pixels need is not installed.
        EncoderUnavailable: the encoder's weights are not here, or are others than in training.
        CohortError: not one slide can be read.
        NoTiles: not one slide yields a tile.
    """
    single = single_classifier(classifier)
    # Pictures must not fall on a cohort's slides.
    check_out(out, mark=TABLE, contents="pictures", inputs=inputs_of(cohort))
    check_class(config.class_name, single.classes)
    chosen = _chosen(cohort, config)
    features = None if features is None else features.of(chosen)
    slides = NewSlides(chosen, workers, offline, features)
    predictor = RunPredictor.of(single, slides)
    require_grad_cam(single.members)
    prepared = predictor.prepare(slides)
    prediction = predictor.predict(prepared)
    items = {item.slide_id: item for item in prepared.audited.slides}
    group = ExplainedGroup(single.members, single.weights, prepared.inputs, ())
    explained, lost = explain_group(group, prediction.members, items, single.classes, config)
    explained = tuple(
        replace(one, warnings=tuple(prediction.warnings.get(one.slide.slide_id, ()))) for one in explained
    )
    unread = {failure.item: f"it could not be read: {failure.message}" for failure in lost}
    reasons = dict(prediction.unpredicted) | unread
    return write(
        Explanation(
            recipe=str(single.recipe["name"]),
            cohort=cohort.root,
            encoder=single.recipe["encoder"]["name"] if features is None else features.encoder_name,
            models=single.members,
            classes=single.classes,
            drawn=explained,
            groups=(replace(group, explained=explained),),
            without={slide.slide_id: reasons[slide.slide_id] for slide in chosen.slides if slide.slide_id in reasons},
            notes=prediction.notes,
            failures=(*prediction.failures, *lost),
            slide_notes=note_kinds(prediction.slide_notes),
            places=None if features is None else features.places,
        ),
        out,
        workers=workers,
    )


def require_grad_cam(models: Sequence[Member]) -> None:
    """Notice before any slide is looked at that the library that networks need is missing.

    Raises:
        UsageError: it is.
    """
    if any(isinstance(model, NetworkModel) for model in models):
        from tilewise.explain.grad_cam import import_grad_cam

        import_grad_cam()


def explain_group(
    group: ExplainedGroup,
    prediction: SlideProbabilities,
    items: Mapping[str, AuditedSlide],
    classes: Sequence[str],
    config: ExplainConfig,
) -> tuple[tuple[SlideExplained, ...], tuple[Failure, ...]]:
    """Slides that models have predicted, in order, and those that could not be read a second time.

    Args:
        group: the models, and the slides as they take them.
        prediction: of the slides by these models.
        items: slide -> itself.
        classes: in the order of the probability columns.
        config: which class, and how many tiles are occluded.
    """
    weights_M = np.array(group.weights)
    rows = dict(zip(prediction.slide_ids, np.tensordot(weights_M, prediction.probabilities_MSC, axes=1), strict=True))
    indices = {
        name: int(row_C.argmax()) if config.class_name is None else classes.index(config.class_name)
        for name, row_C in rows.items()
    }
    explained: list[SlideExplained] = []
    failures: list[Failure] = []
    with task("explaining", len(indices)) as bar:
        for name, values in group.inputs.tile_values(
            group.models,
            group.weights,
            class_indices=indices,
            prediction=prediction,
            occluded_tiles=config.occluded_tiles,
        ):
            bar.advance()
            if isinstance(values, Failure):
                failures.append(values)
                continue
            best = int(rows[name].argmax())
            one = SlideExplained(
                slide=items[name],
                class_name=classes[indices[name]],
                probability=float(rows[name][indices[name]]),
                predicted=classes[best],
                highest=float(rows[name][best]),
                values=values,
                probabilities=dict(zip(classes, rows[name].tolist(), strict=True)),
                label=items[name].slide.label,
            )
            explained.append(one)
    return tuple(explained), tuple(failures)


def single_classifier(classifier: ClassifierBundle | EnsembleClassifier) -> ClassifierBundle:
    """The classifier of one run whose models are of one kind.

    Raises:
        UsageError: it is of several runs, or of heads and networks.
    """
    if isinstance(classifier, EnsembleClassifier):
        names = ", ".join(classifier.parts)
        raise UsageError(
            f"this run combines several ({names}), which may look at other tiles and know no common layer; explain one "
            f"of them instead, the run {next(iter(classifier.parts))} say"
        )
    check_kinds(classifier.members)
    return classifier


def check_kinds(models: Sequence[Member]) -> None:
    """Refuse heads and networks side by side.

    Raises:
        UsageError: folds of a ladder chose both.
    """
    num_networks = sum(isinstance(model, NetworkModel) for model in models)
    if 0 < num_networks < len(models):
        raise UsageError(
            f"{num_networks} of {len(models)} folds of this run chose to train networks, the others heads, "
            "and their maps have nothing in common; train with --presets fast, which has heads alone, and explain that"
        )


def check_class(name: str | None, classes: Sequence[str]) -> None:
    """Refuse a class that the run does not know.

    Raises:
        UsageError: it does not.
    """
    if name is not None and name not in classes:
        near = difflib.get_close_matches(name, classes, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"--class {name}: {hint}the run knows {', '.join(classes)}")


def slides_to_explain(config: ExplainConfig, known: Sequence[str], fault: str) -> set[str]:
    """The ids of the slides that are asked for; a file's name does where only one slide has it.

    Raises:
        UsageError: a name is of no slide, `fault`, or of several.
    """
    wanted = set()
    for name in config.slides:
        alike = slides_named(name, known)
        if len(alike) != 1:
            near = alike[:3] or difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "give names as the table has them"
            raise UsageError(f"--slides {name}: {'more than one slide is called so' if alike else fault}; {hint}")
        wanted.add(alike[0])
    return wanted


def _chosen(cohort: Cohort, config: ExplainConfig) -> Cohort:
    """The cohort with the slides that are asked for alone, in its order."""
    known = [slide.slide_id for slide in cohort.slides]
    wanted = slides_to_explain(config, known, f"no such slide in {cohort.root}") or set(known)
    return replace(cohort, slides=tuple(slide for slide in cohort.slides if slide.slide_id in wanted)[: config.limit])
