"""The labels of a run that its out-of-fold predictions speak against."""

from __future__ import annotations

from importlib.util import find_spec

from tilewise.calibration.calibration import PREFIX
from tilewise.evaluation.doubtful_labels import find_doubtful_labels, write_doubtful_labels
from tilewise.evaluation.sample import Sample
from tilewise.inference.predictions import Predictions
from tilewise.run_folder import RunFolder


def save_doubtful_labels(folder: RunFolder, predictions: Predictions) -> None:
    """Write `doubtful_labels.csv` into a run's folder, if cleanlab is installed."""
    if find_spec("cleanlab") is None:
        return
    tests = predictions.per_slide.out_of_fold.table.dropna(subset=["label"]).sort_values("slide", kind="stable")
    sample = Sample.of(tests, predictions.classes)
    names = [PREFIX + name for name in predictions.classes]
    is_calibrated = set(names) <= set(tests.columns) and bool(tests[names].notna().all(axis=None))
    probabilities_NC = tests[names].to_numpy() if is_calibrated else sample.probabilities_NC
    write_doubtful_labels(folder.doubtful_labels, find_doubtful_labels(sample, probabilities_NC))
