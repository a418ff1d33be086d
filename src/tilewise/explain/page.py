"""What stands on the page of an explanation, ready to be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tilewise.explain.checks import MapCheck
from tilewise.explain.cohort_chart import cohort_chart, mark
from tilewise.explain.cohort_map import CohortMap, MappedSlide
from tilewise.explain.contributions import Contributions
from tilewise.explain.slide import SlideExplained
from tilewise.explain.tile_sheet import SheetTile, TileSheet
from tilewise.explain.words import describe_outlines
from tilewise.reporting.templates import read
from tilewise.reporting.text import without_folders
from tilewise.version import __version__

_MOST_ROWS = 12
_KINDS = {
    "wrong": "Predicted wrong, their own class least likely",
    "unsure": "Most unsure, two classes nearly alike",
    "right": "Predicted right, their own class most likely",
    "": "Slides",
}


@dataclass(frozen=True)
class PageFacts:
    """What stands around the pictures.

    Attributes:
        recipe: name of the run's recipe.
        cohort: its folder, which sentences leave out.
        models: which models were explained, in words.
        methods: how the maps are made, a sentence each.
        classes: in the order of their colours.
        without: slide -> why it has no map.
        notes: what is to be said of all slides.
        kinds: slide -> `wrong`, `unsure`, `right`, or empty where it was asked for.
        cohort_map: of the run's slides; None of new ones.
        checks: of the maps.
        sheets: tiles that count most and least.
        contributions: slide -> what named features add.
        unit: that tiles' places are counted in: `px` of level 0, or `um`.
        places: what is to be said of where tiles lie and what they are drawn on.
    """

    recipe: str
    cohort: Path
    models: str
    methods: tuple[str, ...]
    classes: tuple[str, ...] = ()
    without: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    cohort_map: CohortMap | None = None
    checks: tuple[MapCheck, ...] = ()
    sheets: tuple[TileSheet, ...] = ()
    contributions: Mapping[str, Contributions] = field(default_factory=dict)
    unit: Literal["px", "um"] = "px"
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class SlideFigure:
    """One slide on the page.

    Attributes:
        anchor: of the figure.
        explained: the slide.
        picture: as a `data:` address.
        warnings: a sentence each.
        neighbours: in the space of features; none of new slides.
        num_agreeing: of them, with the slide's label.
        contributions: of named features; None without any.
        checks: of the slide's maps, a phrase each.
    """

    anchor: str
    explained: SlideExplained
    picture: str
    warnings: tuple[str, ...]
    neighbours: tuple[MappedSlide, ...]
    num_agreeing: int
    contributions: Contributions | None
    checks: tuple[str, ...]

    @property
    def alternative(self) -> str:
        """What a screen reader says of the picture."""
        one = self.explained
        return f"Maps of {one.slide.slide_id} beside its thumbnail: {one.caption}"


def page_view(
    facts: PageFacts,
    explained: Sequence[SlideExplained],
    pictures: Mapping[str, str],
    without: Mapping[str, str],
    tile_pictures: Mapping[SheetTile, str],
) -> dict[str, Any]:
    """Everything that the template shows.

    Args:
        facts: what stands around the pictures.
        explained: slides that have one.
        pictures: slide -> its picture as a `data:` address.
        without: slide -> why it has none.
        tile_pictures: tile of a sheet -> its picture, likewise.
    """
    root = str(facts.cohort)
    anchors = {one.slide.slide_id: f"slide-{number}" for number, one in enumerate(explained, 1)}
    figures: dict[str, list[SlideFigure]] = {}
    for one in explained:
        name = one.slide.slide_id
        figure = _figure(facts, one, anchors[name], pictures[name], root)
        figures.setdefault(facts.kinds.get(name, ""), []).append(figure)
    cohort_map = facts.cohort_map
    return {
        "style": read("report.css") + read("explain.css"),
        "version": __version__,
        "facts": facts,
        "without": {name: without_folders(why, root) for name, why in without.items()},
        "groups": [(_KINDS[kind], figures[kind]) for kind in _KINDS if kind in figures],
        "num_slides": len(explained),
        "num_of_one_tile": sum(not one.has_map for one in explained),
        "outlines": describe_outlines(sum(one.slide.use_mask for one in explained), len(explained)),
        "anchors": anchors,
        "tile_pictures": tile_pictures,
        "chart": cohort_chart(cohort_map, facts.classes, anchors) if cohort_map else None,
        "marks": {name: mark(name, facts.classes, standalone=True) for name in facts.classes},
        "costliest": cohort_map.costliest()[:_MOST_ROWS] if cohort_map else [],
        "disagreeing": cohort_map.disagreeing()[:_MOST_ROWS] if cohort_map else [],
    }


def _figure(facts: PageFacts, one: SlideExplained, anchor: str, picture: str, root: str) -> SlideFigure:
    name, cohort_map = one.slide.slide_id, facts.cohort_map
    neighbours = () if cohort_map is None else cohort_map.neighbours.get(name, ())
    return SlideFigure(
        anchor=anchor,
        explained=one,
        picture=picture,
        warnings=tuple(without_folders(text, root) for text in one.warnings),
        neighbours=neighbours,
        num_agreeing=sum(other.label == one.label for other in neighbours),
        contributions=facts.contributions.get(name),
        checks=tuple(text for check in facts.checks for text in _phrases(check, name)),
    )


def _phrases(check: MapCheck, name: str) -> list[str]:
    phrases = []
    if name in check.random_shares:
        phrases.append(f"{max(0.0, check.random_shares[name]):.0%} of its ranks by random weights, too")
    if name in check.localisations:
        phrases.append(f"AUROC {check.localisations[name].auroc:.2f} on the planted signal")
    if name in check.agreements:
        phrases.append(f"{round(check.agreements[name], 2) + 0.0:.2f} with occlusion")
    return [f"{check.title.lower()}: {', '.join(phrases)}"] if phrases else []
