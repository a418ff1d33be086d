"""Mean over the tiles of a slide."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from tilewise.models.aggregate import aggregate_mean


@given(seed=st.integers(0, 10_000), num_tiles=st.integers(0, 60), num_slides=st.integers(1, 8))
def test_equals_a_group_by(seed: int, num_tiles: int, num_slides: int) -> None:
    rng = np.random.default_rng(seed)
    tile_slide_N = rng.integers(0, num_slides, num_tiles)
    probabilities_NC = rng.dirichlet(np.ones(3), num_tiles).astype(np.float32)
    probabilities_SC, num_tiles_S = aggregate_mean(probabilities_NC, tile_slide_N, num_slides)
    expected = pd.DataFrame(probabilities_NC.astype(np.float64)).groupby(tile_slide_N).mean().reindex(range(num_slides))
    np.testing.assert_allclose(probabilities_SC, expected.to_numpy(), rtol=1e-12)
    np.testing.assert_array_equal(num_tiles_S, [(tile_slide_N == slide).sum() for slide in range(num_slides)])


def test_a_slide_does_not_depend_on_the_others() -> None:
    rng = np.random.default_rng(0)
    probabilities_NC = rng.dirichlet(np.ones(4), 500).astype(np.float32)
    tile_slide_N = rng.integers(0, 20, 500)
    together, _ = aggregate_mean(probabilities_NC, tile_slide_N, 20)
    for slide in range(20):
        alone, _ = aggregate_mean(
            probabilities_NC[tile_slide_N == slide], np.zeros((tile_slide_N == slide).sum(), int), 1
        )
        assert alone.tobytes() == together[slide].tobytes()
