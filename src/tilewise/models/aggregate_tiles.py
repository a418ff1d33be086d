"""From tiles to slides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewise.errors import PluginError
from tilewise.models.config import HeadConfig
from tilewise.plugins import Plugin, find_plugin, is_plugin

Result = tuple[NDArray[np.float64], NDArray[np.int64]]
Aggregator = Callable[[NDArray[np.float32], NDArray[np.int64], int], Result]


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
    return _scaled(highest_SC, num_tiles_S), num_tiles_S


def aggregate_top_k(
    probabilities_NC: NDArray[np.float32], tile_slide_N: NDArray[np.int64], num_slides: int, *, top_k: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean of the highest probabilities of each class, scaled to sum to 1; shapes as `aggregate_mean`.

    Args:
        probabilities_NC: as in `aggregate_mean`.
        tile_slide_N: likewise.
        num_slides: likewise.
        top_k: how many of a class are taken; of a slide with fewer tiles all.
    """
    num_tiles_S = np.bincount(tile_slide_N, minlength=num_slides)
    starts_S = num_tiles_S.cumsum() - num_tiles_S
    means_SC = np.zeros((num_slides, probabilities_NC.shape[1]))
    for index, column_N in enumerate(probabilities_NC.T.astype(np.float64)):
        order_N = np.lexsort((-column_N, tile_slide_N))
        slides_N = tile_slide_N[order_N]
        is_high_N = np.arange(len(order_N)) - starts_S[slides_N] < top_k
        means_SC[:, index] = np.bincount(slides_N[is_high_N], column_N[order_N][is_high_N], num_slides)
    means_SC /= np.clip(num_tiles_S, 1, top_k)[:, None]
    return _scaled(means_SC, num_tiles_S), num_tiles_S


def aggregate_noisy_or(
    probabilities_NC: NDArray[np.float32], tile_slide_N: NDArray[np.int64], num_slides: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """1 - product of 1 - p over the tiles of each slide, scaled to sum to 1; shapes as `aggregate_mean`.

    Each tile shows a class by itself, whatever the others show. With many tiles every class comes near 1, and the
    slide's probabilities near 1 / C.
    """
    num_tiles_S = np.bincount(tile_slide_N, minlength=num_slides)
    with np.errstate(divide="ignore"):
        logs_NC = np.log1p(-np.minimum(probabilities_NC.astype(np.float64), 1.0))
    sums_SC = np.stack([np.bincount(tile_slide_N, column_N, num_slides) for column_N in logs_NC.T], axis=1)
    return _scaled(-np.expm1(sums_SC), num_tiles_S), num_tiles_S


def aggregate_log_sum_exp(
    probabilities_NC: NDArray[np.float32], tile_slide_N: NDArray[np.int64], num_slides: int, *, temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """T log mean exp(p / T) over the tiles of each slide, scaled to sum to 1; shapes as `aggregate_mean`.

    Pinheiro and Collobert, From image-level to pixel-level labeling with convolutional networks, CVPR 2015.

    Args:
        probabilities_NC: as in `aggregate_mean`.
        tile_slide_N: likewise.
        num_slides: likewise.
        temperature: T; near 0 the highest probability, large the mean.
    """
    highest_SC = np.zeros((num_slides, probabilities_NC.shape[1]))
    np.maximum.at(highest_SC, tile_slide_N, probabilities_NC.astype(np.float64))
    powers_NC = np.exp((probabilities_NC - highest_SC[tile_slide_N]) / temperature)
    sums_SC = np.stack([np.bincount(tile_slide_N, column_N, num_slides) for column_N in powers_NC.T], axis=1)
    num_tiles_S = np.bincount(tile_slide_N, minlength=num_slides)
    with np.errstate(divide="ignore", invalid="ignore"):
        smooth_SC = highest_SC + temperature * np.log(sums_SC / num_tiles_S[:, None])
    return _scaled(smooth_SC, num_tiles_S), num_tiles_S


def mask_ratios(placements_NP: NDArray[np.float32]) -> NDArray[np.float64]:
    """Share of each tile that the mask covers, (N,), of its placement (`FeatureBag.placements_NP`)."""
    ratios_N: NDArray[np.float64] = (placements_NP[:, 0].astype(np.float64) + 1.0) / 2.0
    return ratios_N


def _scaled(scores_SC: NDArray[np.float64], num_tiles_S: NDArray[np.int64]) -> NDArray[np.float64]:
    """Scores of slides scaled to sum to 1; nan for a slide without tiles."""
    some_S = num_tiles_S > 0
    probabilities_SC = np.full(scores_SC.shape, np.nan)
    probabilities_SC[some_S] = scores_SC[some_S] / scores_SC[some_S].sum(axis=1, keepdims=True)
    return probabilities_SC


def aggregate_weighted(
    probabilities_NC: NDArray[np.float32],
    tile_slide_N: NDArray[np.int64],
    num_slides: int,
    *,
    head: HeadConfig,
    mask_ratios_N: NDArray[np.floating[Any]] | None,
) -> Result:
    """Mean probability or share of votes, each tile with its weight (`head.tile_weights`); shapes as `aggregate_mean`.

    Args:
        probabilities_NC: as in `aggregate_mean`.
        tile_slide_N: likewise.
        num_slides: likewise.
        head: says by what tiles are weighed, and whether they vote.
        mask_ratios_N: share of each tile that the mask covers.

    Raises:
        ValueError: mask ratios are asked for and not given.
    """
    weights_N = np.ones(len(probabilities_NC))
    if "mask_ratio" in head.tile_weights:
        if mask_ratios_N is None:
            raise ValueError(f"head.tile_weights={head.tile_weights} needs the mask ratios of tiles")
        weights_N = weights_N * mask_ratios_N
    if "confidence" in head.tile_weights:
        p_NC = np.maximum(probabilities_NC.astype(np.float64), np.finfo(np.float64).tiny)
        weights_N = weights_N * np.clip(1.0 + (p_NC * np.log(p_NC)).sum(axis=1) / np.log(p_NC.shape[1]), 0.0, 1.0)
    totals_S = np.bincount(tile_slide_N, weights_N, num_slides)
    weights_N = np.where(totals_S[tile_slide_N] > 0, weights_N, 1.0)
    values_NC: NDArray[np.float64] = probabilities_NC.astype(np.float64)
    if head.aggregator == "majority":
        values_NC = np.eye(values_NC.shape[1])[probabilities_NC.argmax(axis=1)]
    sums_SC: NDArray[np.float64] = np.stack(
        [np.bincount(tile_slide_N, weights_N * one_N, num_slides) for one_N in values_NC.T], axis=1
    ).astype(np.float64)
    num_tiles_S = np.bincount(tile_slide_N, minlength=num_slides)
    return _scaled(sums_SC, num_tiles_S), num_tiles_S


def aggregate_by_plugin(
    probabilities_NC: NDArray[np.float32], tile_slide_N: NDArray[np.int64], num_slides: int, *, plugin: Plugin
) -> Result:
    """What a plugin makes of the tiles of each slide, scaled to sum to 1; shapes as `aggregate_mean`.

    Raises:
        PluginError: it fails, or gives anything but a number from 0 up for each class, and one above 0.
    """
    function = plugin.load()
    num_tiles_S = np.bincount(tile_slide_N, minlength=num_slides)
    scores_SC = np.zeros((num_slides, probabilities_NC.shape[1]))
    for slide in np.flatnonzero(num_tiles_S):
        try:
            scores_C = np.asarray(function(probabilities_NC[tile_slide_N == slide].astype(np.float64)), np.float64)
        except Exception as error:
            raise PluginError(f"{plugin} failed on the probabilities of a slide's tiles: {error!r}") from error
        if scores_C.shape != scores_SC[slide].shape or not (scores_C >= 0).all() or not 0 < scores_C.sum() < np.inf:
            raise PluginError(f"{plugin} gives {scores_C}; expected a score from 0 up for each class, not all 0")
        scores_SC[slide] = scores_C
    return _scaled(scores_SC, num_tiles_S), num_tiles_S


def build_aggregator(head: HeadConfig, mask_ratios_N: NDArray[np.floating[Any]] | None = None) -> Aggregator:
    """What makes slide probabilities of tile probabilities, as `head.aggregate` has it.

    Args:
        head: which way.
        mask_ratios_N: share of each tile that the mask covers, where `head.tile_weights` goes by it.
    """
    if head.tile_weights != "equal":
        return partial(aggregate_weighted, head=head, mask_ratios_N=mask_ratios_N)
    if head.aggregator == "top_k":
        return partial(aggregate_top_k, top_k=head.top_k)
    if head.aggregator == "log_sum_exp":
        return partial(aggregate_log_sum_exp, temperature=head.temperature)
    if is_plugin("tilewise.aggregators", head.aggregator):
        return partial(aggregate_by_plugin, plugin=find_plugin("tilewise.aggregators", head.aggregator))
    return _WITHOUT_PARAMETERS[head.aggregator]


_WITHOUT_PARAMETERS: Mapping[str, Aggregator] = {
    "mean": aggregate_mean,
    "majority": aggregate_majority,
    "max": aggregate_max,
    "noisy_or": aggregate_noisy_or,
}
