"""A run as its review shows it."""

import pandas as pd
import pytest

from tilewise.inference.predictions import Predictions
from tilewise.run_folder import RunFolder
from tilewise.serving.review.reviewed_run import _read_predictions


def test_of_a_repeated_run_the_mean_over_repeats_is_shown(tmp_path):
    first = {"slide": "a.png", "label": "A", "group": "a", "part": "test", "num_tiles": 5, "repeat": 0, "fold": 1}
    rows = [
        first | {"predicted": "A", "p_A": 0.6, "p_B": 0.4},
        first | {"repeat": 1, "fold": 2, "predicted": "B", "p_A": 0.1, "p_B": 0.9},
        first | {"part": "validation", "predicted": "A", "p_A": 1.0, "p_B": 0.0},
    ]
    Predictions(pd.DataFrame(rows), ("A", "B")).write(RunFolder(tmp_path).predictions, inputs="")
    (slide,) = _read_predictions(RunFolder(tmp_path)).values()
    assert slide.predicted == "B"
    assert slide.probabilities == pytest.approx({"A": 0.35, "B": 0.65})
    assert (slide.fold, slide.part, slide.is_calibrated) == (1, "test", False)
