"""A finished run, and how one is opened again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tilewise.auditing.notes import NoteKind, note_kinds
from tilewise.auditing.table import read_slides
from tilewise.evaluation.evaluation import Evaluation
from tilewise.execution import Failure, read_failures
from tilewise.inference.predictions import Predictions
from tilewise.ladder.choice import LadderChoice, read_choices
from tilewise.run_folder import RunFolder
from tilewise.score_warnings import read_warnings

if TYPE_CHECKING:
    from tilewise.inference.classifier import ClassifierBundle
    from tilewise.inference.load_classifier import EnsembleClassifier


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: where its files lie.
        evaluation: every score with its interval.
        failures: slides that could not be used.
        warnings: what a person must know before believing the score.
        was_finished: whether it was here already, whole and of the same slides, and nothing had to be done.
    """

    folder: RunFolder
    evaluation: Evaluation
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    was_finished: bool = False

    def __repr__(self) -> str:
        return f"<Run {self.folder.root}: {self.evaluation.metric} {self.evaluation.primary}>"

    def _repr_html_(self) -> str:
        """Scores beside guessing, class by class, and warnings, for notebooks."""
        from tilewise.pipeline.notebook import run_html

        return run_html(self.folder.root, self.evaluation, self.warnings, self.folder.report)

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Open a finished run.

        Raises:
            UsageError: the folder holds no finished run.
            ArtifactError: a file of the run is missing or damaged.
        """
        place = RunFolder(Path(folder))
        place.require_finished()
        evaluation, failures = Evaluation.read(place.evaluation), read_failures(place.failures)
        return cls(place, evaluation, failures, read_warnings(place), was_finished=True)

    @cached_property
    def predictions(self) -> Predictions:
        """Predictions of the `validation`, `test` and `holdout` parts, read from the run's folder."""
        return Predictions.read(self.folder.predictions)

    @cached_property
    def slide_notes(self) -> tuple[NoteKind, ...]:
        """What was taken for what in the slides' files, by kind; empty for a combination of runs."""
        table = self.folder.slides
        return note_kinds(read_slides(table)[1].get("notes", {})) if table.is_file() else ()

    @cached_property
    def ladder(self) -> tuple[LadderChoice, ...]:
        """What each fold chose of the recipe's ladder; empty without one."""
        return read_choices([self.folder.fold(number) for number in range(len(self.evaluation.folds))])

    def classifier(self) -> ClassifierBundle | EnsembleClassifier:
        """Load the deployable classifier."""
        from tilewise.inference.load_classifier import load_classifier

        return load_classifier(self.folder.model)
