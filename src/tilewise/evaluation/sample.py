"""The slides to be scored, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tilewise.errors import ArtifactError

if TYPE_CHECKING:
    import pandas as pd

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_PREFIX = "p_"
REPEAT = "repeat"  # column of predictions of repeated folds


@dataclass(frozen=True, eq=False)
class Sample:
    """Labelled slides with their predictions, in the order of their names.

    Of repeated cross-validation each slide has a row for each repeat (`repeats`, `mean`).

    Attributes:
        slides: names.
        classes: names of the classes; indices below count in this order.
        truth_N: class index of each slide's label.
        predicted_N: class index of each slide's prediction.
        probabilities_NC: float64, one column per class.
        fold_N: the fold that predicted each slide; -1 outside the folds.
        group_N: index from 0 of what stays together. A slide without a group is a group of its own.
        repeat_N: in which repeat each row was predicted; None where there is one.
    """

    slides: tuple[str, ...]
    classes: tuple[str, ...]
    truth_N: Integers
    predicted_N: Integers
    probabilities_NC: Floats
    fold_N: Integers
    group_N: Integers
    repeat_N: Integers | None = None

    @classmethod
    def of(cls, table: pd.DataFrame, classes: Sequence[str]) -> Sample:
        """Take the labelled rows of a predictions table (slide, label, group, fold, p_<class>..., predicted).

        Where it has a column `repeat` with several values, a slide has a row for each of them.

        Raises:
            ArtifactError: a slide stands twice or is missing in a repeat, has a label or prediction that is no class,
                or a probability that is no number; names the slide.
        """
        rows = table[table["label"].notna()].sort_values("slide", kind="stable")
        slides = rows["slide"].astype(str)
        num_repeats = rows[REPEAT].nunique() if REPEAT in rows else 1
        _check_once(slides, rows[REPEAT] if num_repeats > 1 else np.zeros(len(rows)))
        probabilities_NC = rows[[_PREFIX + name for name in classes]].to_numpy(np.float64)
        names = tuple(slides)
        if not np.isfinite(probabilities_NC).all():
            epoch_loss = names[int(np.argmin(np.isfinite(probabilities_NC).all(1)))]
            raise ArtifactError(f"slide {epoch_loss} has a probability that is no number; train and predict again")
        keys = [
            ("slide", name) if is_missing else ("group", str(group))
            for name, group, is_missing in zip(names, rows["group"], rows["group"].isna(), strict=True)
        ]
        index_of = {key: index for index, key in enumerate(dict.fromkeys(keys))}
        return cls(
            slides=names,
            classes=tuple(classes),
            truth_N=_indices(rows["label"], names, classes, "label"),
            predicted_N=_indices(rows["predicted"], names, classes, "prediction"),
            probabilities_NC=probabilities_NC,
            fold_N=rows["fold"].to_numpy(np.int64),
            group_N=np.array([index_of[key] for key in keys], np.int64),
            repeat_N=rows[REPEAT].to_numpy(np.int64) if num_repeats > 1 else None,
        )

    @cached_property
    def repeats(self) -> tuple[Sample, ...]:
        """The slides as each repeat predicted them; itself where there is one. Groups keep their index."""
        if self.repeat_N is None:
            return (self,)
        return tuple(self._rows(np.flatnonzero(self.repeat_N == repeat)) for repeat in np.unique(self.repeat_N))

    @cached_property
    def mean(self) -> Sample:
        """Each slide once, with the mean of its probabilities over repeats, and the fold of the first repeat."""
        if self.repeat_N is None:
            return self
        mean_NC = np.mean([one.probabilities_NC for one in self.repeats], axis=0)
        return replace(self.repeats[0], probabilities_NC=mean_NC, predicted_N=mean_NC.argmax(1))

    def _rows(self, rows: Integers) -> Sample:
        """Some of the rows, as one repeat."""
        return Sample(
            tuple(self.slides[row] for row in rows),
            self.classes,
            self.truth_N[rows],
            self.predicted_N[rows],
            self.probabilities_NC[rows],
            self.fold_N[rows],
            self.group_N[rows],
        )

    @property
    def num_slides(self) -> int:
        """Slides, however often they were predicted."""
        return len(self.repeats[0].slides)

    @property
    def num_classes(self) -> int:
        """Classes, whether they occur or not."""
        return len(self.classes)

    @cached_property
    def num_groups(self) -> int:
        """Groups; slides without one count one each."""
        return int(self.group_N.max()) + 1 if self.group_N.size else 0

    @property
    def unit(self) -> str:
        """What is resampled: `group` where any group has several slides, else `slide`."""
        return "group" if self.num_groups < self.num_slides else "slide"

    @cached_property
    def confusion_by_group(self) -> Integers:
        """Confusion matrix of each group, truth in the rows: int64 (G, C, C). Each repeat counts."""
        return self.count_by_group(self.predicted_N)

    def count_by_group(self, predicted_N: Integers) -> Integers:
        """Confusion matrix of each group for other predictions: int64 (G, C, C)."""
        counts_GCC = np.zeros((self.num_groups, self.num_classes, self.num_classes), np.int64)
        np.add.at(counts_GCC, (self.group_N, self.truth_N, predicted_N), 1)
        return counts_GCC

    def units_with(self, chosen_N: npt.NDArray[np.bool_]) -> int:
        """Number of groups that hold a chosen slide."""
        return len(np.unique(self.group_N[chosen_N]))


def _check_once(slides: pd.Series, repeats: pd.Series | npt.NDArray[np.float64]) -> None:
    """Each slide stands there once in every repeat."""
    again = slides[slides.to_frame("slide").assign(repeat=repeats).duplicated()]
    if len(again):
        raise ArtifactError(f"slide {again.iloc[0]} was predicted twice; predict again")
    times = slides.value_counts()
    fewer = sorted(times.index[times < times.max()])
    if fewer:
        raise ArtifactError(f"slide {fewer[0]} was not predicted in every repeat of the folds; predict again")


def _indices(values: pd.Series, slides: Sequence[str], classes: Sequence[str], what: str) -> Integers:
    index_of = {name: index for index, name in enumerate(classes)}
    for slide, value in zip(slides, values, strict=True):
        if value not in index_of:
            raise ArtifactError(f"slide {slide} has the {what} {value!r}, which is none of {', '.join(classes)}")
    return np.array([index_of[value] for value in values], np.int64)
