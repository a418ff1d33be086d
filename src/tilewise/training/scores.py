"""How good an epoch was on select, and which epoch is the best."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tilewise.metrics import macro_f1
from tilewise.models.aggregate import AGGREGATORS
from tilewise.training.data import PartData
from tilewise.training.history import EpochRow

WORTH_KEEPING = 1e-9  # a later epoch must be better by more than rounding
_LEAST_PROBABILITY = 1e-12  # a slide that is certainly wrong costs 27.6, not infinity


def score_slides(
    probabilities_NC: NDArray[np.float32], part: PartData, weights_C: NDArray[np.float64], aggregator: str
) -> tuple[float, float]:
    """Class-weighted negative log of the true class's probability, and macro F1, over slides.

    Args:
        probabilities_NC: of the tiles.
        part: their slides and labels.
        weights_C: weight of each class in the loss.
        aggregator: how they become probabilities of slides; a name in `AGGREGATORS`.
    """
    probabilities_SC, _ = AGGREGATORS[aggregator](probabilities_NC, part.tile_slide_N, part.num_slides)
    return score_probabilities(probabilities_SC, part, weights_C)


def score_probabilities(
    probabilities_SC: NDArray[np.float64], part: PartData, weights_C: NDArray[np.float64]
) -> tuple[float, float]:
    """As `score_slides`, of the probabilities of slides."""
    true_S = probabilities_SC[np.arange(part.num_slides), part.labels_S]
    costs_S = -np.log(np.maximum(true_S, _LEAST_PROBABILITY))
    weights_S = weights_C[part.labels_S]
    # A select part of classes that are not in train has no weight at all, and nothing to say.
    loss = float((weights_S * costs_S).sum() / weights_S.sum()) if weights_S.any() else float(costs_S.mean())
    return loss, macro_f1(part.labels_S, probabilities_SC.argmax(axis=1), len(weights_C))


def badness(row: EpochRow, metric: Literal["loss", "macro_f1"]) -> float:
    """What the best epoch has the least of."""
    if row.select_loss is None or row.select_macro_f1 is None:
        return -float(row.epoch)  # nothing to choose by: the last epoch is the best
    return row.select_loss if metric == "loss" else -row.select_macro_f1
