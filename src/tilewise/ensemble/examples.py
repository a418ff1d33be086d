"""What a combiner is fitted to: slides with their labels, and what each run says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from tilewise.errors import UsageError
from tilewise.evaluation.sample import Sample

Floats = npt.NDArray[np.float64]
ClassWeighting = Literal["none", "sqrt", "inverse"]

_EXPONENTS: dict[ClassWeighting, float] = {"none": 0.0, "sqrt": 0.5, "inverse": 1.0}


@dataclass(frozen=True, eq=False)
class Examples:
    """Slides of a `validation` part, or of several.

    Attributes:
        truth_N: class index of each row's label. A slide in the validation part of several folds has as many rows.
        group_N: index from 0 of what stays together.
        probabilities_RNC: what each run's model of the fold says.
        weights_N: how much a row counts in a loss; their mean is 1.
    """

    truth_N: npt.NDArray[np.int64]
    group_N: npt.NDArray[np.int64]
    probabilities_RNC: Floats
    weights_N: Floats

    @property
    def num_classes(self) -> int:
        """C, whether all occur or not."""
        return int(self.probabilities_RNC.shape[2])

    @property
    def present(self) -> tuple[int, ...]:
        """Class indices that occur."""
        return tuple(int(index) for index in np.unique(self.truth_N))

    @classmethod
    def of(cls, tables: Sequence[pd.DataFrame], classes: Sequence[str], weighting: ClassWeighting) -> Examples:
        """Take the rows of one or more folds' `validation` parts, the same in each run's table.

        A slide counts once in all, however many folds have it in their validation part. `sqrt` and `inverse` weigh
        classes as in the training of the runs (King and Zeng 2001).

        Args:
            tables: one per run: columns of a predictions table, rows in the same order.
            classes: in the order of the probability columns.
            weighting: of the classes.

        Raises:
            UsageError: there is no labelled slide, or slides of one class only.
        """
        rows = tables[0][["slide", "label", "group", "fold"]].reset_index(drop=True)
        # Sample.of refuses a slide that stands twice, so folds are taken one by one.
        folds = [int(number) for number in sorted(rows["fold"].unique())]
        samples = [[Sample.of(table[table["fold"] == number], classes) for number in folds] for table in tables]
        truth_N = np.concatenate([sample.truth_N for sample in samples[0]]) if folds else np.empty(0, np.int64)
        if len(np.unique(truth_N)) < 2:
            known = classes[int(truth_N[0])] if truth_N.size else "no class"
            raise UsageError(f"it holds slides of {known} only; combine with --method average, which fits nothing")
        slides = pd.Series([name for sample in samples[0] for name in sample.slides])
        named = rows.drop_duplicates("slide").set_index("slide")["group"].reindex(slides)
        keys = [
            ("slide", slide) if pd.isna(group) else ("group", str(group))
            for slide, group in zip(slides, named, strict=True)
        ]
        times_N = slides.map(slides.value_counts()).to_numpy(np.float64)
        weights_N = _class_weights(truth_N, 1.0 / times_N, len(classes), weighting)[truth_N] / times_N
        return cls(
            truth_N=truth_N,
            group_N=pd.factorize(pd.Series(keys))[0].astype(np.int64),
            probabilities_RNC=np.stack([np.concatenate([one.probabilities_NC for one in run]) for run in samples]),
            weights_N=weights_N / weights_N.mean(),
        )


def _class_weights(
    truth_N: npt.NDArray[np.int64], shares_N: Floats, num_classes: int, weighting: ClassWeighting
) -> Floats:
    counts_C = np.bincount(truth_N, shares_N, num_classes)
    balanced_C = np.divide(counts_C.sum(), counts_C, out=np.zeros(num_classes), where=counts_C > 0)
    weights_C: Floats = balanced_C ** _EXPONENTS[weighting]
    return weights_C
