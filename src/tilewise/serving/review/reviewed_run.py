"""A finished run as its review shows it: every slide of the cohort, what was found, predicted and decided."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tilewise.auditing.decisions import Names, propose, read_decisions
from tilewise.auditing.finding import Decision, Finding
from tilewise.auditing.table import FINDINGS_NAME, TableFacts, read_findings, read_slides
from tilewise.calibration.calibration import PREFIX as CALIBRATED
from tilewise.calibration.prediction_sets import COLUMN as SET
from tilewise.calibration.prediction_sets import SEPARATOR
from tilewise.cohort import Cohort, Slide
from tilewise.errors import ArtifactError, UsageError
from tilewise.evaluation.doubtful_labels import DoubtfulLabel
from tilewise.execution import read_failures
from tilewise.inference.predictions import PREFIX, Predictions
from tilewise.recipe import parse_recipe
from tilewise.run_folder import RunFolder
from tilewise.segment.output import made_paths
from tilewise.tiles.tileset import TileSet

# A highest probability below this is unsure.
_UNSURE = 0.5


@dataclass(frozen=True)
class Suspicion:
    """All findings of one kind about one slide: what one decision is about.

    Attributes:
        kind: of the findings.
        proposal: what the audit proposed, its value behind a colon.
        confidence: the highest of the findings.
        is_note: whether no finding asks for anything but to keep the slide.
        evidence: of each.
        others: the other slides of findings that are relations.
    """

    kind: str
    proposal: str
    confidence: float
    is_note: bool
    evidence: tuple[str, ...]
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class PredictedSlide:
    """What the run says of a slide that it did not learn from.

    Attributes:
        predicted: the most probable class.
        probabilities: class -> probability; calibrated where it could be.
        is_calibrated: whether they are.
        classes: the prediction set; empty without one.
        fold: whose model predicted it; -1 in the hold-out.
        part: `test` or `holdout`.
        num_tiles: that were looked at.
    """

    predicted: str
    probabilities: Mapping[str, float]
    is_calibrated: bool
    classes: tuple[str, ...]
    fold: int
    part: str
    num_tiles: int

    @property
    def is_unsure(self) -> bool:
        """Whether no class is more probable than not; prediction sets of few slides mostly hold several classes."""
        return self.probabilities[self.predicted] < _UNSURE


@dataclass(frozen=True)
class ReviewedSlide:
    """One slide of the cohort.

    Attributes:
        slide: as the cohort has it, before any decision or repair.
        label: that the run learnt; None where it has none.
        group: that it fell in; None of a slide that was not kept.
        suspicions: one for each kind of finding.
        prediction: None where it was not predicted out of fold.
        doubt: that its label is doubtful, and the class suggested; None otherwise.
        row: of the audit's table; None of a slide that was not kept.
        failure: why it could not be used; empty where it could.
        no_tiles: why it yields no tile; empty where it does.
    """

    slide: Slide
    label: str | None
    group: str | None
    suspicions: tuple[Suspicion, ...]
    prediction: PredictedSlide | None
    doubt: DoubtfulLabel | None
    row: Mapping[str, Any] | None
    failure: str = ""
    no_tiles: str = ""


@dataclass(frozen=True)
class ReviewedRun:
    """A run and its slides.

    Attributes:
        folder: of the run.
        slides: in the cohort's order.
        classes: that slides may be relabelled to.
        decided: what people had decided before the run was trained.
        max_pixels: a slide of more is not decoded.
        columns: further column of the table -> slide -> value.
        made_masks: slide -> the mask that the run made of it.
    """

    folder: RunFolder
    slides: tuple[ReviewedSlide, ...]
    classes: tuple[str, ...]
    decided: tuple[Decision, ...]
    max_pixels: int
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    made_masks: Mapping[str, Path] = field(default_factory=dict)

    def mask_of(self, number: int) -> Path | None:
        """The mask of a slide: as the run made or repaired it, else the cohort's; None where it has none."""
        item = self.slides[number]
        path = (item.row or {}).get("mask")
        used = self.made_masks.get(item.slide.slide_id) or (Path(path) if isinstance(path, str) else None)
        return used or item.slide.mask_path

    @classmethod
    def open(cls, folder: RunFolder) -> Self:
        """Read a run's files and list its cohort; no pixel is looked at.

        Raises:
            UsageError: it is no finished run of slides.
            CohortError: the cohort is not where it was.
            ArtifactError: a file of the run is damaged.
        """
        identity = folder.require_finished()
        if not folder.slides.is_file() or not folder.tiles.is_file():
            raise UsageError(f"{folder.root} combines several runs; serve one of these, which have slides and tiles")
        if identity["cohort"]["layout"] == "features":
            raise UsageError(
                f"{folder.root} was trained on features of another program: nothing can be reviewed; draw them "
                f"by `tilewise explain {folder.root} --pixels SLIDES`"
            )
        recipe = parse_recipe(identity["recipe"], f"the recipe of {folder.root}")
        root = Path(identity["cohort"]["root"])
        cohort = Cohort.discover(root)
        table = read_slides(folder.slides)[0]
        rows = {str(row["slide"]): {str(name): cell for name, cell in row.items()} for row in table.to_dict("records")}
        predictions = _read_predictions(folder)
        suspicions = _read_suspicions(folder)
        doubts = _read_doubts(folder.doubtful_labels)
        failures = {failure.item: failure.message for failure in read_failures(folder.failures)}
        skipped = TileSet.read(folder.tiles)[0].skipped
        slides = tuple(
            ReviewedSlide(
                slide=slide,
                label=rows[slide.slide_id]["label"] if slide.slide_id in rows else slide.label,
                group=str(rows[slide.slide_id]["group"]) if slide.slide_id in rows else None,
                suspicions=suspicions.get(slide.slide_id, ()),
                prediction=predictions.get(slide.slide_id),
                doubt=doubts.get(slide.slide_id),
                row=rows.get(slide.slide_id),
                failure=failures.get(slide.slide_id, ""),
                no_tiles=skipped.get(slide.slide_id, ""),
            )
            for slide in cohort.slides
        )
        classes = tuple(sorted({*cohort.classes, *cohort.declared, *(str(one.label) for one in slides if one.label)}))
        return cls(
            folder,
            slides,
            classes,
            read_decisions(folder.audit / "decisions.csv", Names.of(cohort)),
            recipe.audit.max_megapixels * 1_000_000,
            TableFacts.read(folder.slides).columns,
            made_paths(folder.segment),
        )


def _read_predictions(folder: RunFolder) -> dict[str, PredictedSlide]:
    predictions = Predictions.read(folder.predictions).per_slide
    table, classes = predictions.table, predictions.classes
    predicted: dict[str, PredictedSlide] = {}
    for row in table.to_dict("records"):
        is_calibrated = all(row.get(CALIBRATED + name) == row.get(CALIBRATED + name) is not None for name in classes)
        prefix = CALIBRATED if is_calibrated else PREFIX
        sets = row.get(SET)
        predicted[str(row["slide"])] = PredictedSlide(
            predicted=str(row["predicted"]),
            probabilities={name: float(row[prefix + name]) for name in classes},
            is_calibrated=is_calibrated,
            classes=tuple(sets.split(SEPARATOR)) if isinstance(sets, str) and sets else (),
            fold=int(row["fold"]),
            part=str(row["part"]),
            num_tiles=int(row["num_tiles"]),
        )
    return predicted


def _read_suspicions(folder: RunFolder) -> dict[str, tuple[Suspicion, ...]]:
    table = read_findings(folder.audit / FINDINGS_NAME)
    findings = [Finding(**{str(name): value for name, value in row.items()}) for row in table.to_dict("records")]
    by_kind: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        by_kind[finding.slide, finding.kind].append(finding)
    suspicions: dict[str, list[Suspicion]] = defaultdict(list)
    for proposed in propose(findings):
        own = by_kind[proposed.slide, proposed.finding]
        suspicions[proposed.slide].append(
            Suspicion(
                proposed.finding,
                proposed.proposal,
                max(finding.confidence for finding in own),
                all(finding.is_note for finding in own),
                tuple(dict.fromkeys(finding.evidence for finding in own)),
                tuple(dict.fromkeys(finding.other for finding in own if finding.other)),
            )
        )
    return {name: tuple(own) for name, own in suspicions.items()}


def _read_doubts(path: Path) -> dict[str, DoubtfulLabel]:
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            doubts = [DoubtfulLabel.of_row(row) for row in csv.DictReader(stream)]
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise ArtifactError(f"{path} is damaged ({error!r}); train the run again") from error
    return {doubt.slide: doubt for doubt in doubts}
