"""Classifier and new slides in, predictions out."""

from __future__ import annotations

import contextlib
import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from tilewise.auditing.notes import NoteKind, note_kinds
from tilewise.calibration.calibration import PREFIX as PREFIX_CALIBRATED
from tilewise.calibration.calibration import Calibration, columns
from tilewise.cohort import Cohort
from tilewise.cohort.inputs import inputs_of
from tilewise.errors import TilewiseError, UsageError
from tilewise.execution import Failure
from tilewise.inference.classifier import ClassifierBundle
from tilewise.inference.load_classifier import EnsembleClassifier
from tilewise.inference.predictions import PREFIX
from tilewise.inference.submission import write_submission
from tilewise.pipeline.imported_features import ImportedFeatures
from tilewise.pipeline.prediction_warnings import NOT_CLASSIFIED, copies_of_training, fold_warnings
from tilewise.pipeline.run_predictor import NewSlides, RunPrediction, RunPredictor
from tilewise.store import check_out_file, write_text
from tilewise.wording import count

# Suffixes that promise another format.
_OTHER_TABLES = frozenset({".parquet", ".xlsx", ".json", ".tsv"})


@dataclass(frozen=True, repr=False)
class PredictionResult:
    """What became of new slides.

    Attributes:
        table: one row per slide in the cohort's order: slide, predicted, p_<class>... (scores, of which the highest
            decides), calibrated_<class>... (probabilities: of slides with 0.8 for a class about 80 % are of it),
            set_90 (classes joined by "|": the slide's is among them for 90 % of each class's slides), num_tiles (of
            several runs the fewest that one of them looked at), warnings (joined by "; ", empty where there is nothing
            to say). Where the cohort's table names groups, patients say, there is a column group. Classifiers of
            earlier versions have no calibrated columns and no sets, those of very small cohorts no calibrated columns.
        details: where the table was written; None where it was not.
        warnings: what a person should know, slide by slide.
        failures: slides that could not be read; they have a row all the same.
        slide_notes: what was taken for what in the slides' files, by kind.
        warnings_by_slide: slide -> its warnings; those about all slides stand in `warnings` alone.
    """

    table: pd.DataFrame
    details: Path | None
    warnings: tuple[str, ...]
    failures: tuple[Failure, ...]
    slide_notes: tuple[NoteKind, ...] = ()
    warnings_by_slide: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {num}" for name, num in self.counts().items())
        unclassified = f"; {len(self.unclassified())} not classified" if self.unclassified() else ""
        warnings = f"; {count(len(self.warnings), 'warning')}" if self.warnings else ""
        return f"<PredictionResult: {count(len(self.table), 'slide')} ({counts}){unclassified}{warnings}>"

    def to_frame(self) -> pd.DataFrame:
        """A copy of the table, a row for each slide."""
        return self.table.copy()

    def by_group(self) -> pd.DataFrame | None:
        """One row for each group, a patient say; None where the cohort's table names none.

        Columns: group, predicted, p_<class>... and calibrated_<class>... (means over its slides that were looked at),
        num_slides (that were). A slide without a group is a group of its own; groups without such a slide have no row.
        """
        if "group" not in self.table:
            return None
        names = [str(name) for name in self.table if str(name).startswith((PREFIX, PREFIX_CALIBRATED))]
        groups = self.table[self.table["num_tiles"] > 0].groupby("group", sort=False)
        means = groups[names].mean()
        scores = [name for name in names if name.startswith(PREFIX)]
        highest = means[scores].to_numpy().argmax(axis=1) if len(means) else []
        means.insert(0, "predicted", [scores[index].removeprefix(PREFIX) for index in highest])
        return means.assign(num_slides=groups.size()).reset_index()

    def counts(self) -> dict[str, int]:
        """Class -> number of slides that were looked at and predicted so."""
        classes = [name.removeprefix(PREFIX) for name in self.table.columns if name.startswith(PREFIX)]
        counts = Counter(self.table.loc[self.table["num_tiles"] > 0, "predicted"])
        return {name: counts[name] for name in classes}

    def unclassified(self) -> tuple[str, ...]:
        """Slides that were not looked at: they could not be read or yielded no tile, and were filled in."""
        return tuple(self.table.loc[self.table["num_tiles"] == 0, "slide"])

    def copies_of_training(self) -> tuple[str, ...]:
        """Slides with the pixels of a training slide: the classifier knows them, their predictions say nothing."""
        return copies_of_training(self.warnings_by_slide)

    def folded_warnings(self) -> list[str]:
        """The warnings with one line for each kind, the gravest first."""
        num_notes = len(self.warnings) - sum(map(len, self.warnings_by_slide.values()))
        return [*self.warnings[:num_notes], *fold_warnings(self.warnings_by_slide)]


def predict(
    classifier: ClassifierBundle | EnsembleClassifier,
    cohort: Cohort,
    *,
    out: Path | None,
    features: ImportedFeatures | None = None,
    workers: int | None = None,
    offline: bool = False,
) -> PredictionResult:
    """Classify slides by the recipe the classifier was trained with, or by those of all runs of an ensemble.

    Every slide gets a row. One that cannot be read or yields no tile is given the share of each class in the training
    cohort as its probabilities, and a warning. Runs of an ensemble share what their recipes agree in.

    Raises:
        UsageError: `out` is a folder, a file that an earlier call did not write, or a part of the cohort or a run.
        EncoderUnavailable: the encoder's weights are not here, or are others than in training.
        CohortError: not one slide can be read.
        NoTiles: not one slide yields a tile.
    """
    if out is not None:
        _check_out(out, cohort)
    parts = _predict_runs(runs_of(classifier), NewSlides(cohort, workers, offline, features))
    result = join_predictions(classifier, cohort, parts)
    if out is not None:
        result = replace(result, details=_details_of(out))
        _write(out, result)
    return result


def runs_of(classifier: ClassifierBundle | EnsembleClassifier) -> Mapping[str, ClassifierBundle]:
    """Run -> its classifier, of the runs that are asked about new slides; a run that is no ensemble has no name."""
    return classifier.lean().parts if isinstance(classifier, EnsembleClassifier) else {"": classifier}


def join_predictions(
    classifier: ClassifierBundle | EnsembleClassifier, cohort: Cohort, parts: Mapping[str, RunPrediction]
) -> PredictionResult:
    """The table of new slides from what each run of `runs_of` says of them."""
    whole = classifier.lean() if isinstance(classifier, EnsembleClassifier) else None
    first = next(iter(runs_of(classifier).values()))
    warnings = _join_warnings([slide.slide_id for slide in cohort.slides], parts, first.commonest)
    table = _table(cohort, parts, first, whole, warnings)
    notes = dict.fromkeys(f"run {run}: {note}" if run else note for run, part in parts.items() for note in part.notes)
    sentences = (*notes, *(f"{name}: {text}" for name, texts in warnings.items() for text in texts))
    failures = dict.fromkeys(failure for part in parts.values() for failure in part.failures)
    slide_notes = {name: own for part in parts.values() for name, own in part.slide_notes.items()}
    return PredictionResult(table, None, sentences, tuple(failures), note_kinds(slide_notes), warnings)


def _table(
    cohort: Cohort,
    parts: Mapping[str, RunPrediction],
    first: ClassifierBundle,
    whole: EnsembleClassifier | None,
    warnings: Mapping[str, Sequence[str]],
) -> pd.DataFrame:
    """A row for every slide of the cohort."""
    names = [slide.slide_id for slide in cohort.slides]
    probabilities_SC = _probabilities(names, tuple(parts.values()), first, whole)
    counts = [part.num_tiles for part in parts.values()]
    num_tiles = [min((own[name] for own in counts if name in own), default=0) for name in names]
    calibration = first.calibration if whole is None else whole.calibration
    return pd.DataFrame(
        {
            "slide": names,
            "predicted": [first.classes[index] for index in probabilities_SC.argmax(axis=1)],
            **{PREFIX + name: probabilities_SC[:, index] for index, name in enumerate(first.classes)},
            **_calibrated(calibration, probabilities_SC, first.classes, np.array(num_tiles) > 0),
            **_groups(cohort),
            "num_tiles": num_tiles,
            "warnings": ["; ".join(warnings.get(name, ())) for name in names],
        }
    )


def _groups(cohort: Cohort) -> dict[str, list[str]]:
    """The column of groups, where the table names any."""
    if all(slide.group is None for slide in cohort.slides):
        return {}
    return {"group": [slide.slide_id if slide.group is None else slide.group for slide in cohort.slides]}


def _predict_runs(named: Mapping[str, ClassifierBundle], slides: NewSlides) -> dict[str, RunPrediction]:
    """What each run says; what one of them lacks is noticed before any slide is read."""
    ready, predictions = {}, {}
    for run, classifier in named.items():
        with _named(run):
            ready[run] = RunPredictor.of(classifier, slides)
    for run, predictor in ready.items():
        with _named(run):
            predictions[run] = predictor.predict(predictor.prepare(slides))
    return predictions


@contextlib.contextmanager
def _named(run: str) -> Iterator[None]:
    """Say which run of an ensemble an error is of."""
    try:
        yield
    except TilewiseError as error:
        if run:
            error.add_note(f"this came of the run {run} of the ensemble")
        raise


def _probabilities(
    names: Sequence[str],
    parts: Sequence[RunPrediction],
    first: ClassifierBundle,
    whole: EnsembleClassifier | None,
) -> npt.NDArray[np.float64]:
    """Rows in the order of the slides; one that nobody could look at has the shares of the training cohort."""
    prior_C = np.array([first.label_counts.get(name, 0) for name in first.classes], dtype=np.float64)
    nan_C = np.full(len(first.classes), np.nan)
    probabilities_RSC = np.array([[part.probabilities.get(name, nan_C) for name in names] for part in parts])
    rows_SC = np.tile(prior_C / prior_C.sum(), (len(names), 1))
    is_predicted_S = ~np.isnan(probabilities_RSC).any(axis=2).all(axis=0)
    if whole is None:
        rows_SC[is_predicted_S] = probabilities_RSC[0, is_predicted_S]
    elif is_predicted_S.any():
        rows_SC[is_predicted_S] = whole.combine(probabilities_RSC[:, is_predicted_S])
    return rows_SC


def _calibrated(
    calibration: Calibration | None,
    probabilities_SC: npt.NDArray[np.float64],
    classes: Sequence[str],
    is_predicted_S: npt.NDArray[np.bool_],
) -> dict[str, object]:
    """Calibrated probabilities and sets; a slide that was not looked at keeps its shares, and may be of any class."""
    if calibration is None:
        return {}
    scaled_SC = None
    if calibration.scaling is not None:
        scaled_SC = np.where(is_predicted_S[:, None], calibration.scaling.apply(probabilities_SC), probabilities_SC)
    sets_SC = calibration.thresholds.sets(probabilities_SC) | ~is_predicted_S[:, None]
    return columns(scaled_SC, sets_SC, classes)


def _join_warnings(names: Sequence[str], parts: Mapping[str, RunPrediction], commonest: str) -> dict[str, list[str]]:
    """Slide -> sentences; what all runs say is said once, what some say is said with their names."""
    prior = f"{NOT_CLASSIFIED}, filled in with the commonest class of the training cohort ({commonest})"
    joined: dict[str, list[str]] = {}
    for name in names:
        runs_of: dict[str, list[str]] = {}
        nobody = all(name not in part.probabilities for part in parts.values())
        for run, part in parts.items():
            if name in part.unpredicted:
                why = part.unpredicted[name]
                text = f"{prior}: {why}" if nobody else f"predicted by the other runs: {why}"
                runs_of.setdefault(text, []).append(run)
            for text in part.warnings.get(name, ()):
                runs_of.setdefault(text, []).append(run)
        sentences = [
            text if len(runs) == len(parts) else f"run {', '.join(runs)}: {text}" for text, runs in runs_of.items()
        ]
        if sentences:
            joined[name] = sentences
    return joined


def _check_out(out: Path, cohort: Cohort) -> None:
    inputs = inputs_of(cohort)
    check_out_file(out, is_own=_is_submission, contents="submission", inputs=inputs)
    check_out_file(_details_of(out), is_own=_is_details, contents="details of a submission", inputs=inputs)
    check_out_file(_groups_of(out), is_own=_is_groups, contents="groups of a submission", inputs=inputs)
    if out.suffix.lower() in _OTHER_TABLES:
        raise UsageError(f"--out {out}: a submission is written as CSV; name it {out.with_suffix('.csv').name}")


def _is_submission(path: Path) -> bool:
    """Whether a submission says what its details say: nobody edited it."""
    details = _rows(_details_of(path))
    return bool(details) and [row[:2] for row in details[1:]] == _rows(path)[1:]


def _is_details(path: Path) -> bool:
    head = _rows(path)[:1]
    return bool(head) and head[0][:2] == ["slide", "predicted"] and head[0][-2:] == ["num_tiles", "warnings"]


def _is_groups(path: Path) -> bool:
    head = _rows(path)[:1]
    return bool(head) and head[0][:2] == ["group", "predicted"] and head[0][-1] == "num_slides"


def _rows(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def _details_of(out: Path) -> Path:
    return out.with_name(f"{out.stem}.details.csv")


def _groups_of(out: Path) -> Path:
    return out.with_name(f"{out.stem}.groups.csv")


def _write(out: Path, result: PredictionResult) -> None:
    _write_table(_details_of(out), result.table)
    groups = result.by_group()
    if groups is None:
        _groups_of(out).unlink(missing_ok=True)  # of an earlier call
    else:
        _write_table(_groups_of(out), groups)
    write_submission(out, zip(result.table["slide"], result.table["predicted"], strict=True))


def _write_table(path: Path, table: pd.DataFrame) -> None:
    buffer = io.StringIO()
    table.to_csv(buffer, index=False, quoting=csv.QUOTE_MINIMAL, lineterminator="\n", float_format="%.6f")
    write_text(path, buffer.getvalue())
