"""Colours that two dyes mix to lie in the stain plane; others do not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tilewise.auditing.histology.cells import cut_cells
from tilewise.auditing.histology.stain_plane import StainColour, stain_colour

_HAEMATOXYLIN, _EOSIN, _BROWN = (0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78)
_SIZE = (240, 240)


def _colour(*dyes: tuple[float, float, float]) -> StainColour:
    rng = np.random.default_rng(0)
    density = sum(rng.uniform(0.2, 0.8, (*_SIZE, 1)).repeat(3, axis=2) * np.array(dye) for dye in dyes)
    return _of(np.asarray(250 * 10.0 ** -np.asarray(density)))


def _of(pixels: npt.NDArray[np.float64]) -> StainColour:
    rgb = np.clip(pixels, 0, 255).astype(np.uint8)
    rgb[:20] = 250
    cells = cut_cells(rgb, np.ones(_SIZE, dtype=bool))
    assert cells is not None
    colour = stain_colour(cells)
    assert colour is not None
    return colour


def test_haematoxylin_and_eosin_lie_in_their_plane() -> None:
    colour = _colour(_HAEMATOXYLIN, _EOSIN)
    assert colour.off_plane < 0.01
    assert colour.across < 0.02
    assert colour.green > colour.red > colour.blue


def test_eosin_shows_and_a_brown_dye_takes_blue() -> None:
    assert _colour(_HAEMATOXYLIN, _EOSIN).eosin > 0.15
    assert _colour(_HAEMATOXYLIN).eosin < 0.05
    assert _colour(_HAEMATOXYLIN, _BROWN).blueness < 0.08


def test_many_hues_spread_across_the_plane() -> None:
    rng = np.random.default_rng(1)
    patches = rng.uniform(20, 220, (12, 12, 3)).repeat(20, axis=0).repeat(20, axis=1)
    assert _of(patches).across > 0.08


def test_grey_is_grey() -> None:
    grey = np.random.default_rng(2).uniform(40, 150, (*_SIZE, 1)).repeat(3, axis=2)
    assert _of(grey).grey == pytest.approx(1.0, abs=0.02)
