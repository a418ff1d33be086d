"""Predictions: one row per slide and fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from tilewise.calibration.calibration import PREFIX as PREFIX_CALIBRATED
from tilewise.calibration.calibration import Calibration, columns, cross_fit
from tilewise.calibration.prediction_sets import COLUMN
from tilewise.evaluation.sample import REPEAT, Sample
from tilewise.store import read_table, write_table
from tilewise.wording import count

_SCHEMA = "tilewise.predictions"
_VERSION = 1
PREFIX = "p_"


@dataclass(frozen=True, repr=False)
class Predictions:
    """Probabilities per slide.

    Attributes:
        table: slide, label (None where unknown), group, fold (-1 outside the folds), part (`validation`, `test`,
            `holdout`), p_<class> for every class, predicted (the class of the highest), num_tiles; once calibrated
            also calibrated_<class> and set_90, cross-fitted and empty in `validation`. Where folds were cut several
            times `repeat` says in which repeat (-1 outside the folds), and a slide has a `test` row in each.
        classes: in the order of the probability columns.
    """

    table: pd.DataFrame
    classes: tuple[str, ...]

    def __repr__(self) -> str:
        parts = ", ".join(f"{part} {num}" for part, num in self.table["part"].value_counts(sort=False).items())
        return f"<Predictions of {count(self.table['slide'].nunique(), 'slide')}: {parts}>"

    @property
    def out_of_fold(self) -> Predictions:
        """Those of the test parts: each slide (once in each repeat) by a model that knew neither it nor its group."""
        return Predictions(self.table[self.table["part"] == "test"].reset_index(drop=True), self.classes)

    @property
    def per_slide(self) -> Predictions:
        """Those of the test parts and the hold-out, each slide once: the mean over repeats of its probabilities.

        They are calibrated again, by means of the slides of other folds; `fold` is that of the first repeat.
        """
        table = self.table[self.table["part"] != "validation"].reset_index(drop=True)
        if REPEAT not in table:
            return Predictions(table, self.classes)
        once = table.drop_duplicates("slide").set_index("slide", drop=False)
        names = [PREFIX + name for name in self.classes]
        once[names] = table.groupby("slide")[names].mean()
        once["predicted"] = np.asarray(self.classes, dtype=object)[once[names].to_numpy().argmax(axis=1)]
        calibration = [name for name in map(str, once) if name.startswith(PREFIX_CALIBRATED) or name == COLUMN]
        means = Predictions(once.drop(columns=[REPEAT, *calibration]).reset_index(drop=True), self.classes)
        return means.calibrated() if calibration else means

    @classmethod
    def of(
        cls,
        slides: pd.DataFrame,
        probabilities_SC: npt.NDArray[np.floating],
        num_tiles_S: npt.NDArray[np.integer],
        classes: Sequence[str],
    ) -> Predictions:
        """Join what is known of the slides (slide, label, group, fold, part) with their probabilities."""
        table = slides.reset_index(drop=True).copy()
        for column, name in enumerate(classes):
            table[PREFIX + name] = probabilities_SC[:, column].astype(np.float64)
        table["predicted"] = np.asarray(classes, dtype=object)[probabilities_SC.argmax(axis=1)] if len(table) else []
        table["num_tiles"] = num_tiles_S.astype(np.int32)
        return cls(table, tuple(classes))

    @classmethod
    def join(cls, tables: Sequence[Predictions]) -> Predictions:
        """Stack predictions of the same classes."""
        return cls(pd.concat([item.table for item in tables], ignore_index=True), tables[0].classes)

    def probabilities(self) -> npt.NDArray[np.float64]:
        """float64 (S, C), rows as in the table."""
        return self.table[[PREFIX + name for name in self.classes]].to_numpy(np.float64)

    def fit_calibration(self) -> Calibration:
        """The calibration that is deployed: fitted to all out-of-fold predictions, each slide once."""
        sample = Sample.of(self.out_of_fold.table, self.classes).mean
        return Calibration.fit(sample.probabilities_NC, sample.truth_N)

    def calibrated(self) -> Predictions:
        """With calibrated probabilities and prediction sets.

        Each test part has them by what was fitted to the other folds' test parts of the same repeat, the hold-out by
        what is deployed.
        """
        table = self.table.reset_index(drop=True)
        tests = table[(table["part"] == "test") & table["label"].notna()].sort_values("slide", kind="stable")
        parts = [
            _cross_fitted(rows, self.classes)
            for _, rows in (tests.groupby(REPEAT) if REPEAT in tests else [(0, tests)])
        ]
        holdout = table[table["part"] == "holdout"]
        if len(holdout):
            own_SC = Predictions(holdout, self.classes).probabilities()
            parts.append(pd.DataFrame(self.fit_calibration().columns(own_SC, self.classes), index=holdout.index))
        added = pd.concat(parts).reindex(table.index)
        order = [PREFIX_CALIBRATED + name for name in self.classes] + [COLUMN]
        return Predictions(table.join(added[[name for name in order if name in added]]), self.classes)

    def to_frame(self) -> pd.DataFrame:
        """A copy of the table, a row for each slide and fold."""
        return self.table.copy()

    def write(self, path: Path, *, inputs: str) -> None:
        """Write the table; `inputs` is the digest of what it was made from."""
        head = {"classes": list(self.classes), "inputs": inputs}
        write_table(path, self.table, schema=_SCHEMA, version=_VERSION, metadata=head)

    @classmethod
    def read(cls, path: Path) -> Predictions:
        """Read a table.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        table, head = read_table(path, schema=_SCHEMA, version=_VERSION)
        return cls(table, tuple(str(name) for name in head["classes"]))


def _cross_fitted(tests: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Columns of labelled rows of the test parts of one repeat, in the order of their slides."""
    sample = Sample.of(tests, classes)
    cross_fitted = cross_fit(sample.probabilities_NC, sample.truth_N, sample.fold_N, sample.group_N)
    return pd.DataFrame(columns(cross_fitted.calibrated_NC, cross_fitted.sets_NC, classes), index=tests.index)
