"""Labels that out-of-fold predictions speak against, by confident learning; named and never changed."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np

from tilewise.errors import UsageError
from tilewise.evaluation.sample import Floats, Sample
from tilewise.store import write_text


@dataclass(frozen=True)
class DoubtfulLabel:
    """A slide whose label may be wrong, or which may look like another class.

    Attributes:
        slide: its id.
        label: that it carries.
        suggested: the most probable class.
        label_probability: of its label.
        suggested_probability: of the suggested class.
        fold: whose model predicted it.
    """

    slide: str
    label: str
    suggested: str
    label_probability: float
    suggested_probability: float
    fold: int

    @classmethod
    def of_row(cls, row: dict[str, str]) -> Self:
        """A row of the table that `write_doubtful_labels` wrote."""
        probabilities = float(row["label_probability"]), float(row["suggested_probability"])
        return cls(row["slide"], row["label"], row["suggested"], *probabilities, int(row["fold"]))


def find_doubtful_labels(sample: Sample, probabilities_NC: Floats) -> tuple[DoubtfulLabel, ...]:
    """Slides whose labels are in doubt, the most doubtful first.

    Confident learning (Northcutt, Jiang and Chuang, JAIR 2021) as cleanlab has it: slides of each pair of classes that
    are more probably mislabelled than not, counted by the models' own confidence in each class. With few slides, and
    where models are often wrong, most of them carry the right label.

    Args:
        sample: slides out of fold.
        probabilities_NC: of each slide by a model that did not learn from it, calibrated where they can be.

    Raises:
        UsageError: cleanlab is not installed.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ImportError as error:
        raise UsageError(
            "labels in doubt need cleanlab, which is not installed; pip install 'tilewise[doubts]'"
        ) from error

    present = np.unique(sample.truth_N)
    if len(present) < 2:
        return ()
    own_NC = probabilities_NC[:, present] / probabilities_NC[:, present].sum(axis=1, keepdims=True)
    labels_N = np.searchsorted(present, sample.truth_N)
    with warnings.catch_warnings():
        # That it leaves out classes of few slides: with one example asked for, those of one slide.
        warnings.filterwarnings("ignore", message="May not flag all label issues", category=UserWarning)
        issues = find_label_issues(
            labels_N, own_NC, return_indices_ranked_by="normalized_margin", min_examples_per_class=1, n_jobs=1
        )
    suggested_N = present[own_NC.argmax(axis=1)]
    return tuple(
        DoubtfulLabel(
            slide=sample.slides[row],
            label=sample.classes[sample.truth_N[row]],
            suggested=sample.classes[suggested_N[row]],
            label_probability=float(probabilities_NC[row, sample.truth_N[row]]),
            suggested_probability=float(probabilities_NC[row, suggested_N[row]]),
            fold=int(sample.fold_N[row]),
        )
        for row in issues
    )


def write_doubtful_labels(path: Path, labels: Iterable[DoubtfulLabel]) -> None:
    """Write `doubtful_labels.csv`: a column for each attribute, probabilities with six decimals."""
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(field.name for field in fields(DoubtfulLabel))
    table.writerows([f"{cell:.6f}" if isinstance(cell, float) else cell for cell in astuple(label)] for label in labels)
    write_text(path, buffer.getvalue())
