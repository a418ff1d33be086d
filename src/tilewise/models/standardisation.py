"""Features shifted and scaled by the statistics of the train part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

# A feature whose spread is less than float32 can tell from its mean is constant.
_RELATIVE_SPREAD = 1e-6


@dataclass(frozen=True)
class Standardisation:
    """Mean and factor of each feature, float32 (D,). A feature that is constant in the train part has the factor 0."""

    mean_D: NDArray[np.float32]
    scale_D: NDArray[np.float32]

    @classmethod
    def fit(cls, features_ND: NDArray[np.floating[Any]], weights_N: NDArray[np.float64]) -> Self:
        """Weighted mean and standard deviation over tiles, or over the vectors of slides.

        Args:
            features_ND: tiles of the train part only.
            weights_N: weight of each tile, in any unit; equal weight per slide makes each slide count the same.
        """
        share_N = weights_N / weights_N.sum()
        mean_D = share_N @ features_ND.astype(np.float64)
        spread_D = np.sqrt(share_N @ np.square(features_ND - mean_D))
        varies_D = spread_D > _RELATIVE_SPREAD * np.abs(mean_D) + np.finfo(np.float32).tiny
        scale_D = np.divide(1.0, spread_D, out=np.zeros_like(spread_D), where=varies_D)
        return cls(mean_D.astype(np.float32), scale_D.astype(np.float32))

    def apply(self, features_ND: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Standardised features, float64 (N, D)."""
        return (features_ND.astype(np.float64) - self.mean_D) * self.scale_D
