"""What a report is made from: plain, frozen data, so that any run, or a test, can fill it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewise.auditing.notes import NoteKind
from tilewise.ensemble.record import EnsembleRecord
from tilewise.evaluation.doubtful_labels import DoubtfulLabel
from tilewise.ladder.choice import LadderChoice
from tilewise.shortcuts.find_shortcuts import Shortcuts
from tilewise.training.history import FitRow
from tilewise.units import Box


@dataclass(frozen=True)
class CohortSummary:
    """The cohort as it was discovered.

    Attributes:
        root: name of the folder; not its path, which would name people and machines.
        layout: what the folder was taken for, in words.
        slides: class -> number of slides.
        groups: class -> number of groups with a slide of it.
        num_unlabelled: slides without a label.
        num_groups: groups in all, as the audit left them.
        notes: what discovery took for what.
        has_groups: whether the table said which slides belong together.
    """

    root: str
    layout: str
    slides: Mapping[str, int]
    groups: Mapping[str, int]
    num_unlabelled: int = 0
    num_groups: int = 0
    notes: tuple[str, ...] = ()
    has_groups: bool = True


@dataclass(frozen=True)
class DecisionRow:
    """One decision of the audit: what was found on a slide, what is done about it, and why; `value` is a new label."""

    slide: str
    finding: str
    decision: str
    reason: str
    author: str = ""
    value: str = ""


@dataclass(frozen=True)
class AuditSummary:
    """What the audit found.

    Attributes:
        findings: kind -> number of findings.
        decisions: one row each.
        leakage: what would have leaked had slides been split one by one, in a sentence.
        fallback: what tiles are cut from where a mask is not used: `tissue`, `slide` or `exclude`.
        slide_notes: what was taken for what in the slides' files, by kind.
    """

    findings: Mapping[str, int]
    decisions: tuple[DecisionRow, ...]
    leakage: str
    fallback: str = "tissue"
    slide_notes: tuple[NoteKind, ...] = ()


@dataclass(frozen=True)
class TileSummary:
    """Tiles of the cohort: slide -> number of tiles, and why slides have none or were cut by a fallback.

    `overlap` says that tiles of one slide lie over each other; `small_masks`, whose mask is smaller than tiles ask for;
    `outlined`, what the outlines on pictures show.
    """

    counts: Mapping[str, int]
    skipped: Mapping[str, str] = field(default_factory=dict)
    fallbacks: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    overlap: bool = False
    small_masks: Mapping[str, str] = field(default_factory=dict)
    outlined: str = "the mask"


@dataclass(frozen=True)
class PartSummary:
    """One part of one fold: slides per class, and groups. `fold` is None for the hold-out."""

    fold: int | None
    part: str
    slides: Mapping[str, int]
    num_groups: int


@dataclass(frozen=True)
class Epoch:
    """One row of a training history; None where a fold has no `validation` part, or the metric is not defined on it."""

    epoch: int
    train_loss: float
    validation_loss: float | None = None
    validation_score: float | None = None


@dataclass(frozen=True)
class History:
    """Training of one fold: its epochs and the one whose weights were kept, or the fits of a head without epochs.

    Of several trainings (`training.num_seeds`) the epochs are those of the first.
    """

    fold: int
    epochs: tuple[Epoch, ...]
    kept_epoch: int | None = None
    fits: tuple[FitRow, ...] = ()
    num_seeds: int = 1

    @property
    def fit(self) -> FitRow | None:
        """The fit that was kept."""
        return next((row for row in self.fits if row.is_kept), None)


@dataclass(frozen=True, eq=False)
class Picture:
    """A thumbnail with what was looked at.

    Attributes:
        rgb_HWC: uint8.
        tiles: boxes of the tiles, in pixels of the thumbnail.
        mask_HW: bool, of the thumbnail's size: the mask or tissue that tiles were cut by; None where they were cut
            from the whole slide.
    """

    rgb_HWC: npt.NDArray[np.uint8]
    tiles: tuple[Box, ...] = ()
    mask_HW: npt.NDArray[np.bool_] | None = None

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.rgb_HWC.shape[1])

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.rgb_HWC.shape[0])


@dataclass(frozen=True)
class Heat:
    """Tiles' probabilities of a class, drawn to be laid over a thumbnail: a `data:` address, and in words."""

    class_name: str
    picture: str
    words: str


@dataclass(frozen=True, eq=False)
class SlideResult:
    """One slide's prediction by a model that did not know it.

    Attributes:
        slide: its name.
        label: the truth.
        predicted: the class with the highest probability.
        probability: of the predicted class.
        label_probability: of the true class.
        fold: the fold that predicted it; None for a slide of the hold-out.
        num_tiles: tiles the prediction is the mean of.
        picture: what it looks like; None where it is not shown.
        heats: where on it tiles speak for the predicted class, and for the true one where that is another.
        share_for_predicted: of its tiles, those for which the predicted class is the likeliest; None without heat.
    """

    slide: str
    label: str
    predicted: str
    probability: float
    label_probability: float
    fold: int | None
    num_tiles: int
    picture: Picture | None = None
    heats: tuple[Heat, ...] = ()
    share_for_predicted: float | None = None

    @property
    def right(self) -> bool:
        """Whether the prediction is the truth."""
        return self.predicted == self.label


@dataclass(frozen=True)
class FailureRow:
    """A slide that failed: the stage, and the message that names the next step."""

    slide: str
    stage: str
    message: str


@dataclass(frozen=True)
class LedgerRow:
    """What was lost at one place for one reason; `slides` names the slides, `num` counts them or their tiles."""

    stage: str
    reason: str
    num: int
    slides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ledger:
    """So many at first, what was lost, and so many in the end; the rows add up to the difference."""

    first: int
    rows: tuple[LedgerRow, ...]
    last: int


@dataclass(frozen=True)
class Ledgers:
    """Of the slides, and of the tiles of those that are left."""

    slides: Ledger
    tiles: Ledger

    @property
    def sentence(self) -> str:
        """How much is left, and where most was lost."""
        slides, tiles = self.slides, self.tiles
        most = max(slides.rows, key=lambda row: row.num, default=None)
        where = "" if most is None else f"; most were lost at {most.stage} ({most.reason})"
        tiles_left = f"{tiles.last} of {tiles.first} of their tiles"
        return f"{slides.last} of {slides.first} slides and {tiles_left} are in the score{where}."


@dataclass(frozen=True, eq=False)
class ReportInput:
    """Everything a report says. The same input gives the same bytes; nothing else, no clock either, goes in.

    Attributes:
        title: of the page.
        run: name of the run.
        recipe: name of the recipe.
        encoder: name of the encoder.
        evaluation: `Evaluation.to_json()`.
        cohort: what was discovered.
        audit: what was found and decided; None where several runs are combined, whose own reports say it.
        tiles: what was cut; likewise.
        parts: every part of every fold, in order, then the hold-out.
        fold_notes: what could not be split as asked.
        histories: one per fold.
        ladder: likewise, what each fold chose; nothing of a run without a ladder.
        slides: examples to show, with pictures.
        confident_errors: wrong predictions, the most confident first.
        warnings: what a reader must know before the scores (random weights, say).
        recipe_yaml: the resolved recipe.
        environment: versions and machine; nested mappings are shown as `a.b`.
        failures: slides that failed.
        version: of tilewise.
        seed: of the run.
        created: when the run was made, as ISO 8601; the day is shown.
        combined: how several runs were combined; None for a run that was trained.
        doubtful_labels: labels that predictions speak against, the most doubtful first; None where nobody looked.
        deployed: what `tilewise predict` uses, and whether that has a score of its own; '' where `combined` says it.
        shortcuts: what tells the label besides the tissue; None where that was not asked.
        ledgers: what was lost of slides and tiles, and where; None where several runs are combined.
        curve: the score against the number of slides, as `tilewise curve` left it in the run; None where it did not.
        refits: whether heads that are fitted at once are fitted again to train and validation.
    """

    title: str
    run: str
    recipe: str
    encoder: str
    evaluation: Mapping[str, Any]
    cohort: CohortSummary
    audit: AuditSummary | None
    tiles: TileSummary | None
    parts: tuple[PartSummary, ...]
    fold_notes: tuple[str, ...] = ()
    histories: tuple[History, ...] = ()
    ladder: tuple[LadderChoice, ...] = ()
    slides: tuple[SlideResult, ...] = ()
    confident_errors: tuple[SlideResult, ...] = ()
    warnings: tuple[str, ...] = ()
    recipe_yaml: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    failures: tuple[FailureRow, ...] = ()
    version: str = ""
    seed: int | None = None
    created: str = ""
    combined: EnsembleRecord | None = None
    doubtful_labels: tuple[DoubtfulLabel, ...] | None = None
    deployed: str = ""
    shortcuts: Shortcuts | None = None
    ledgers: Ledgers | None = None
    curve: Mapping[str, Any] | None = None
    refits: bool = False
