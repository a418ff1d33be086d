"""Eight views of a square, each undone by its own way."""

import numpy as np
import pytest
import torch

from tilewise.tiles.dihedral import NUM_WAYS, lay, lay_back

TILE = torch.arange(2 * 3 * 4).reshape(2, 3, 4)


def test_the_eight_ways_differ_and_are_numpys():
    views = [lay(TILE, way) for way in range(NUM_WAYS)]
    assert len({(*view.shape, *view.flatten().tolist()) for view in views}) == NUM_WAYS
    for way, view in enumerate(views):
        tile = TILE.numpy()[..., ::-1] if way >= 4 else TILE.numpy()
        np.testing.assert_array_equal(view.numpy(), np.rot90(tile, way % 4, (-2, -1)))


@pytest.mark.parametrize("way", range(NUM_WAYS))
def test_laid_back_a_view_is_the_tile(way):
    assert torch.equal(lay_back(lay(TILE, way), way), TILE)
