"""What is explained of slides, and how it is written: pictures, tables and the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tilewise.auditing.notes import NoteKind
from tilewise.execution import Failure
from tilewise.explain.checks import MapCheck
from tilewise.explain.cohort_map import CohortMap
from tilewise.explain.contributions import Contributions, contribute
from tilewise.explain.output import PAGE, TABLE, write_explanation
from tilewise.explain.page import PageFacts
from tilewise.explain.slide import SlideExplained
from tilewise.explain.tile_sheet import make_sheets
from tilewise.explain.words import describe_methods, describe_models
from tilewise.inference.classifier import Member, for_each
from tilewise.models import FoldModel
from tilewise.pipeline.feature_places import FeaturePlaces
from tilewise.pipeline.map_checks import ExplainedGroup, check_maps
from tilewise.pipeline.prediction_warnings import fold_warnings
from tilewise.pipeline.slide_inputs import FeatureInputs
from tilewise.run_folder import RunFolder


@dataclass(frozen=True)
class ExplainResult:
    """What became of slides that were to be explained.

    Attributes:
        page: where the page is.
        table: where the table of tiles is.
        pictures: slide -> its picture.
        drawn: slide -> the class that is drawn.
        without: slide -> why it has no map.
        warnings: what a person should know, one line for each kind; the page has them slide by slide.
        failures: slides that could not be read.
        slide_notes: what was taken for what in the slides' files, by kind.
        objects: slide -> its maps as GeoJSON for QuPath.
        checks: what became of the checks of the maps.
    """

    page: Path
    table: Path
    pictures: Mapping[str, Path]
    drawn: Mapping[str, str]
    without: Mapping[str, str]
    warnings: tuple[str, ...]
    failures: tuple[Failure, ...]
    slide_notes: tuple[NoteKind, ...] = ()
    objects: Mapping[str, Path] = field(default_factory=dict)
    checks: tuple[MapCheck, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """Everything that is written of explained slides.

    Attributes:
        recipe: name of the run's recipe.
        cohort: folder of the slides.
        encoder: of the recipe.
        models: that are explained.
        classes: in the order of the probability columns.
        drawn: slides that are drawn.
        groups: all slides that were explained, by the models that explained them.
        without: slide -> why it has no map.
        out_of_fold: whether each slide is explained by the models of the folds that test it, one of each repeat.
        num_repeats: how many times folds were cut.
        kinds: slide -> why it was chosen: `right`, `wrong`, `unsure`, or empty.
        cohort_map: of the run's slides; None of new ones.
        notes: what is to be said of all slides.
        failures: slides that could not be read.
        slide_notes: what was taken for what in the slides' files, by kind.
        places: where the tiles of features of another program lie; None of slides with pixels.
    """

    recipe: str
    cohort: Path
    encoder: str
    models: tuple[Member, ...]
    classes: tuple[str, ...]
    drawn: tuple[SlideExplained, ...]
    groups: tuple[ExplainedGroup, ...]
    without: Mapping[str, str]
    out_of_fold: bool = False
    num_repeats: int = 1
    kinds: Mapping[str, str] = field(default_factory=dict)
    cohort_map: CohortMap | None = None
    notes: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    slide_notes: tuple[NoteKind, ...] = ()
    places: FeaturePlaces | None = None


def write(explanation: Explanation, out: Path, *, workers: int | None) -> ExplainResult:
    """Check the maps, and write pictures, tables and the page."""
    checks = check_maps(explanation.groups, explanation.classes, explanation.cohort)
    explained = [one for group in explanation.groups for one in group.explained]
    slide_notes, places = explanation.slide_notes, explanation.places
    facts = PageFacts(
        recipe=explanation.recipe,
        cohort=explanation.cohort,
        models=describe_models(explanation.models, explanation.encoder),
        methods=describe_methods(
            explanation.models, out_of_fold=explanation.out_of_fold, num_repeats=explanation.num_repeats
        ),
        classes=explanation.classes,
        without=explanation.without,
        notes=(*explanation.notes, *(kind.sentence() for kind in slide_notes)),
        kinds=explanation.kinds,
        cohort_map=explanation.cohort_map,
        checks=checks,
        sheets=make_sheets(explained, explanation.classes),
        contributions=_contributions(explanation),
        unit="px" if places is None else places.unit,
        places=() if places is None else places.sentences,
    )
    with RunFolder(out).locked():
        written = write_explanation(out, explanation.drawn, facts, workers=workers)
    without, drawn = written.without, explanation.drawn
    warned = fold_warnings({one.slide.slide_id: one.warnings for one in drawn})
    lacking = (f"{name} has no map: {why}" for name, why in without.items())
    return ExplainResult(
        page=out / PAGE,
        table=out / TABLE,
        pictures=written.pictures,
        drawn={one.slide.slide_id: one.class_name for one in drawn if one.slide.slide_id in written.pictures},
        without=without,
        warnings=(
            *facts.places,
            *explanation.notes,
            *(text for check in checks for text in check.faults),
            *lacking,
            *warned,
        ),
        failures=tuple(dict.fromkeys((*explanation.failures, *written.failures))),
        slide_notes=slide_notes,
        objects=written.objects,
        checks=checks,
    )


def _contributions(explanation: Explanation) -> dict[str, Contributions]:
    """Slide -> what named features add, of the slides that are drawn."""
    drawn = {one.slide.slide_id: one for one in explanation.drawn}
    contributions = {}
    for group in explanation.groups:
        heads = [model for model in group.models if isinstance(model, FoldModel)]
        if not isinstance(group.inputs, FeatureInputs) or len(heads) < len(group.models):
            continue
        each = for_each(group.inputs.bags, heads)
        for one in group.explained:
            name = one.slide.slide_id
            if name in drawn:
                index = explanation.classes.index(one.class_name)
                own = contribute(
                    heads, group.weights, [bags[name] for bags in each], index, encoder=explanation.encoder
                )
                if own is not None:
                    contributions[name] = own
    return contributions
