"""Weights of tiles in the loss, and what class weights are counted from."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tilewise.training.data import PartData


def tile_weights(part: PartData, weight: Literal["slide", "tile"]) -> NDArray[np.float64]:
    """Weight of each tile before class weights: 1 / tiles of its slide, or 1."""
    if weight == "tile":
        return np.ones(len(part.tile_slide_N))
    return (1.0 / part.num_tiles_S)[part.tile_slide_N]


def class_totals(part: PartData, num_classes: int, weight: Literal["slide", "tile"]) -> NDArray[np.float64]:
    """What class weights are counted in: slides of each class, or tiles."""
    amount_S = np.ones(part.num_slides) if weight == "slide" else part.num_tiles_S
    totals_C: NDArray[np.float64] = np.bincount(part.labels_S, amount_S, num_classes).astype(np.float64)
    return totals_C
