"""One vector per slide: statistics of its tiles' features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewise.models.config import Statistic

Floats = NDArray[np.float64]


def slide_vectors(
    features_ND: NDArray[np.floating[Any]],
    tile_slide_N: NDArray[np.int64],
    num_slides: int,
    *,
    statistics: Sequence[Statistic],
) -> Floats:
    """Statistics of each slide's features side by side, float64 (S, len(statistics) * D).

    A slide's vector does not depend on the other slides. The deviation is that of the tiles at hand (ddof 0), so that
    it is 0 for a slide of one tile. A slide without tiles gets nan.

    Args:
        features_ND: tiles of all slides.
        tile_slide_N: position of each tile's slide, 0 .. num_slides - 1; in any order.
        num_slides: S.
        statistics: mean, standard deviation or highest value of each feature, in their order.
    """
    vectors_SD = np.full((num_slides, len(statistics) * features_ND.shape[1]), np.nan)
    order_N = np.argsort(tile_slide_N, kind="stable")
    ends_S = np.bincount(tile_slide_N, minlength=num_slides).cumsum()
    for slide, tiles in enumerate(np.split(order_N, ends_S[:-1])):
        if len(tiles):
            own_ND = features_ND[tiles].astype(np.float64)
            vectors_SD[slide] = np.concatenate([_of_tiles(own_ND, statistic) for statistic in statistics])
    return vectors_SD


def tile_vectors(
    features_ND: NDArray[np.floating[Any]],
    tile_slide_N: NDArray[np.int64],
    num_slides: int,
    *,
    statistics: Sequence[Statistic],
) -> Floats:
    """What stands for each tile by itself where a head takes statistics of slides, float64 (N, len(statistics) * D).

    In place of the slide's mean or highest values stands the tile; deviations stay those of the slide. With means the
    logits of a linear head are then, on average over a slide's tiles, those of the slide.

    Args:
        features_ND: tiles of all slides.
        tile_slide_N: as in `slide_vectors`.
        num_slides: S.
        statistics: likewise.
    """
    vectors_SD = slide_vectors(features_ND, tile_slide_N, num_slides, statistics=statistics)
    vectors_ND = vectors_SD[tile_slide_N]
    vectors_ND[:, : features_ND.shape[1]] = features_ND
    return vectors_ND


def _of_tiles(features_ND: Floats, statistic: Statistic) -> Floats:
    if statistic == "max":
        return np.asarray(features_ND.max(axis=0))
    return np.asarray(features_ND.mean(axis=0) if statistic == "mean" else features_ND.std(axis=0))
