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
        """Weighted mean and standard deviation over tiles, or over the vectors of slides; nan is left out.

        Args:
            features_ND: tiles of the train part only.
            weights_N: weight of each tile, in any unit; equal weight per slide makes each slide count the same.
        """
        share_N = weights_N / weights_N.sum()
        values_ND, total_D = features_ND.astype(np.float64), np.ones(features_ND.shape[1])
        missing_ND = np.isnan(values_ND)
        if missing_ND.any():
            total_D = np.maximum(share_N @ ~missing_ND, np.finfo(np.float64).tiny)
            sums_D = share_N @ np.where(missing_ND, 0.0, values_ND)
            values_ND = np.where(missing_ND, sums_D / total_D, values_ND)
            mean_D = sums_D / total_D
        else:
            mean_D = share_N @ values_ND
        spread_D = np.sqrt(share_N @ np.square(values_ND - mean_D) / total_D)
        varies_D = spread_D > _RELATIVE_SPREAD * np.abs(mean_D) + np.finfo(np.float32).tiny
        scale_D = np.divide(1.0, spread_D, out=np.zeros_like(spread_D), where=varies_D)
        return cls(mean_D.astype(np.float32), scale_D.astype(np.float32))

    def apply(self, features_ND: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Standardised features, float64 (N, D)."""
        return (features_ND.astype(np.float64) - self.mean_D) * self.scale_D

    def fill(self, features_ND: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """The mean in place of what is missing (nan), float64 (N, E), of the last E features."""
        return np.where(np.isnan(features_ND), self.mean_D[len(self.mean_D) - features_ND.shape[1] :], features_ND)
