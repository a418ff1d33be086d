"""One vector per slide: the moments of its tiles' features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def slide_vectors(
    features_ND: NDArray[np.floating[Any]], tile_slide_N: NDArray[np.int64], num_slides: int, *, num_moments: int
) -> Floats:
    """Mean of each slide's features, and beside it their standard deviation, float64 (S, num_moments * D).

    A slide's vector does not depend on the other slides. The deviation is that of the tiles at hand (ddof 0), so that
    it is 0 for a slide of one tile. A slide without tiles gets nan.

    Args:
        features_ND: tiles of all slides.
        tile_slide_N: position of each tile's slide, 0 .. num_slides - 1; in any order.
        num_slides: S.
        num_moments: 1 takes the mean alone, 2 both.
    """
    vectors_SD = np.full((num_slides, num_moments * features_ND.shape[1]), np.nan)
    order_N = np.argsort(tile_slide_N, kind="stable")
    ends_S = np.bincount(tile_slide_N, minlength=num_slides).cumsum()
    for slide, tiles in enumerate(np.split(order_N, ends_S[:-1])):
        if len(tiles):
            own_ND = features_ND[tiles].astype(np.float64)
            moments = [own_ND.mean(axis=0), own_ND.std(axis=0)]
            vectors_SD[slide] = np.concatenate(moments[:num_moments])
    return vectors_SD


def tile_vectors(
    features_ND: NDArray[np.floating[Any]], tile_slide_N: NDArray[np.int64], num_slides: int, *, num_moments: int
) -> Floats:
    """What stands for each tile by itself where a head takes the moments of slides, float64 (N, num_moments * D).

    In place of the slide's mean stands the tile; deviations stay those of the slide. The logits of a linear head are
    then, on average over a slide's tiles, those of the slide.

    Args:
        features_ND: tiles of all slides.
        tile_slide_N: as in `slide_vectors`.
        num_slides: S.
        num_moments: likewise.
    """
    moments_SD = slide_vectors(features_ND, tile_slide_N, num_slides, num_moments=num_moments)
    vectors_ND = moments_SD[tile_slide_N]
    vectors_ND[:, : features_ND.shape[1]] = features_ND
    return vectors_ND
