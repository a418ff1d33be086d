"""A linear function of a slide's vector for each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ABSENT = float(np.log(1e-6))  # logit of a class that was not learnt; the highest of the others is at least 0


@dataclass(frozen=True)
class Linear:
    """Logits are `vectors_SD @ coefficients_CD.T + intercepts_C`; their softmax are the probabilities."""

    coefficients_CD: Floats
    intercepts_C: Floats

    def logits(self, vectors_SD: Floats) -> Floats:
        """Of the classes, float64 (S, C)."""
        logits_SC: Floats = vectors_SD @ self.coefficients_CD.T + self.intercepts_C
        return logits_SC

    def probabilities(self, vectors_SD: Floats) -> Floats:
        """Of the classes, float64 (S, C)."""
        return softmax(self.logits(vectors_SD))

    def divided_by(self, temperature: float) -> Linear:
        """The same with other logits."""
        return Linear(self.coefficients_CD / temperature, self.intercepts_C / temperature)

    def with_absent(self, present: NDArray[np.int64], num_classes: int) -> Linear:
        """The same for all classes, where those that do not occur have a probability of one in a million at most.

        Logits are shifted so that they sum to 0, which changes no probability.

        Args:
            present: indices among all classes of those that this is of.
            num_classes: of all.
        """
        coefficients_CD = np.zeros((num_classes, self.coefficients_CD.shape[1]))
        intercepts_C = np.full(num_classes, _ABSENT)
        coefficients_CD[present] = self.coefficients_CD - self.coefficients_CD.mean(axis=0)
        intercepts_C[present] = self.intercepts_C - self.intercepts_C.mean()
        return Linear(coefficients_CD, intercepts_C)

    def with_constant(self, varies_D: NDArray[np.bool_]) -> Linear:
        """The same for all features, where those that do not vary count nothing."""
        coefficients_CD = np.zeros((len(self.intercepts_C), len(varies_D)))
        coefficients_CD[:, varies_D] = self.coefficients_CD
        return Linear(coefficients_CD, self.intercepts_C)


def softmax(logits_SC: Floats) -> Floats:
    """Probabilities, float64 (S, C)."""
    powers_SC = np.exp(logits_SC - logits_SC.max(axis=1, keepdims=True))
    probabilities_SC: Floats = powers_SC / powers_SC.sum(axis=1, keepdims=True)
    return probabilities_SC
