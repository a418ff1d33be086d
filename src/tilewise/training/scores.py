"""How good an epoch was on validation, and which epoch is the best."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tilewise.metrics import PrimaryMetric, primary_score
from tilewise.models.aggregate_tiles import build_aggregator
from tilewise.models.config import HeadConfig
from tilewise.training.data import PartData
from tilewise.training.history import EpochRow

_LEAST_PROBABILITY = 1e-12  # a slide that is certainly wrong costs 27.6, not infinity


def score_slides(
    probabilities_NC: NDArray[np.float32],
    part: PartData,
    weights_C: NDArray[np.float64],
    head: HeadConfig,
    metric: PrimaryMetric,
) -> tuple[float, float | None]:
    """Class-weighted negative log of the true class's probability, and the metric, over slides.

    Args:
        probabilities_NC: of the tiles.
        part: their slides and labels.
        weights_C: weight of each class in the loss.
        head: how they become probabilities of slides.
        metric: that slides are scored by; None is returned where it is not defined.
    """
    probabilities_SC, _ = build_aggregator(head)(probabilities_NC, part.tile_slide_N, part.num_slides)
    return score_probabilities(probabilities_SC, part, weights_C, metric)


def score_probabilities(
    probabilities_SC: NDArray[np.float64], part: PartData, weights_C: NDArray[np.float64], metric: PrimaryMetric
) -> tuple[float, float | None]:
    """As `score_slides`, of the probabilities of slides."""
    true_S = probabilities_SC[np.arange(part.num_slides), part.labels_S]
    costs_S = -np.log(np.maximum(true_S, _LEAST_PROBABILITY))
    weights_S = weights_C[part.labels_S]
    # A validation part of classes that are not in train has no weight at all, and nothing to say.
    loss = float((weights_S * costs_S).sum() / weights_S.sum()) if weights_S.any() else float(costs_S.mean())
    return loss, primary_score(metric, part.labels_S, probabilities_SC.argmax(axis=1), probabilities_SC)


def selection_loss(row: EpochRow, select_by: Literal["loss", "metric"]) -> float | None:
    """What the best epoch has the least of; None without a validation part."""
    # Whether a metric is defined follows from the labels alone, so that all epochs are compared by one of the two.
    return row.validation_loss if select_by == "loss" or row.validation_score is None else -row.validation_score
