"""What a run's deployed classifier is made of, and on which slides it has a score."""

from __future__ import annotations

from tilewise.inference.classifier import read_weights
from tilewise.reporting.numbers import number
from tilewise.runs import RunFolder


def describe_deployed(folder: RunFolder, *, holdout: bool) -> str:
    """In two sentences: its members with their weights, and where it is scored.

    Raises:
        ArtifactError: the run's bundle is missing or damaged.
    """
    weights = read_weights(folder.model)
    if len(weights) == 1:
        made = "`tilewise predict` uses one fold's model alone"
    elif len(set(weights)) == 1:
        made = f"`tilewise predict` uses the mean of {len(weights)} folds' models"
    else:
        made = f"`tilewise predict` uses {len(weights)} folds' models, weighted {', '.join(map(number, weights))}"
    if holdout:
        return f"{made}; its own score is that on the hold-out."
    return (
        f"{made}. The folds hold every slide, so that classifier has no score of its own: the one here is of the "
        "folds' models, each by itself. `--set folds.holdout_fraction=0.2` sets slides apart for one."
    )
