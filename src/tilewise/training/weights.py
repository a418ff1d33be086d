"""How much each class and each tile counts in the loss."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tilewise.training.data import PartData

ClassWeighting = Literal["none", "inverse", "sqrt"]

_EXPONENTS: dict[ClassWeighting, float] = {"none": 0.0, "sqrt": 0.5, "inverse": 1.0}


def class_weights(counts_C: NDArray[np.number], weighting: ClassWeighting) -> NDArray[np.float64]:
    """Weight of each class in the loss.

    `inverse` is total / (classes * count), King and Zeng's (2001) rule and scikit-learn's "balanced"; `sqrt` its root.
    A class that does not occur has the weight 0 and does not count among the classes.

    Args:
        counts_C: slides (or tiles) of each class in the train part.
        weighting: which rule.
    """
    present_C = counts_C > 0
    balanced_C = np.divide(
        counts_C.sum(), present_C.sum() * counts_C, out=np.zeros(len(counts_C)), where=present_C, dtype=np.float64
    )
    return np.where(present_C, balanced_C ** _EXPONENTS[weighting], 0.0)


def slide_shares(part: PartData, weight: Literal["slide", "tile"]) -> NDArray[np.float64]:
    """Weight of each tile before class weights: 1 / tiles of its slide, or 1."""
    if weight == "tile":
        return np.ones(len(part.tile_slide_N))
    return (1.0 / part.num_tiles_S)[part.tile_slide_N]


def class_totals(part: PartData, num_classes: int, weight: Literal["slide", "tile"]) -> NDArray[np.float64]:
    """What class weights are counted in: slides of each class, or tiles."""
    amount_S = np.ones(part.num_slides) if weight == "slide" else part.num_tiles_S
    totals_C: NDArray[np.float64] = np.bincount(part.labels_S, amount_S, num_classes).astype(np.float64)
    return totals_C
