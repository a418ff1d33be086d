"""From tiles to slides."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Aggregator = Callable[[NDArray[np.float32], NDArray[np.int64], int], tuple[NDArray[np.float64], NDArray[np.int64]]]


def aggregate_mean(
    probabilities_NC: NDArray[np.float32], tile_slide_N: NDArray[np.int64], num_slides: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean probability over the tiles of each slide.

    Tiles are added one after the other in float64, so that a slide's result does not depend on the other slides.

    Args:
        probabilities_NC: one row per tile.
        tile_slide_N: position of each tile's slide, 0 .. num_slides - 1; in any order.
        num_slides: S.

    Returns:
        probabilities_SC, nan for a slide without tiles, and the number of tiles of each slide, num_tiles_S.
    """
    num_tiles_S = np.bincount(tile_slide_N, minlength=num_slides)
    sums_SC = np.stack([np.bincount(tile_slide_N, column_N, num_slides) for column_N in probabilities_NC.T], axis=1)
    some_S = num_tiles_S > 0
    probabilities_SC = np.full(sums_SC.shape, np.nan)
    probabilities_SC[some_S] = sums_SC[some_S] / num_tiles_S[some_S, None]
    return probabilities_SC, num_tiles_S


def aggregate_majority(
    probabilities_NC: NDArray[np.float32], tile_slide_N: NDArray[np.int64], num_slides: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Share of the tiles of each slide that vote for each class; shapes as `aggregate_mean`.

    A tile votes for its most probable class; of equally probable ones, for the first.
    """
    votes_NC = np.zeros(probabilities_NC.shape, dtype=np.float32)
    votes_NC[np.arange(len(votes_NC)), probabilities_NC.argmax(axis=1)] = 1.0
    return aggregate_mean(votes_NC, tile_slide_N, num_slides)


def aggregate_max(
    probabilities_NC: NDArray[np.float32], tile_slide_N: NDArray[np.int64], num_slides: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Highest probability of each class over the tiles of each slide, scaled to sum to 1; shapes as `aggregate_mean`.

    One tile that is sure of a class is enough, whatever the others say.
    """
    num_tiles_S = np.bincount(tile_slide_N, minlength=num_slides)
    highest_SC = np.zeros((num_slides, probabilities_NC.shape[1]))
    np.maximum.at(highest_SC, tile_slide_N, probabilities_NC.astype(np.float64))
    some_S = num_tiles_S > 0
    probabilities_SC = np.full(highest_SC.shape, np.nan)
    probabilities_SC[some_S] = highest_SC[some_S] / highest_SC[some_S].sum(axis=1, keepdims=True)
    return probabilities_SC, num_tiles_S


AGGREGATORS: Mapping[str, Aggregator] = {
    "mean": aggregate_mean,
    "majority": aggregate_majority,
    "max": aggregate_max,
}
