"""Linear discriminant analysis with a shrunk covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilewise.training.fitted_heads.linear import Floats, Linear

_NO_SPREAD = 1e-12  # mean square of residuals, in variances of the features, that float32 cannot tell from none
_NO_DIRECTION = 1e-10  # variance of a direction beside that of the widest


@dataclass(frozen=True)
class LdaFit:
    """A linear discriminant.

    Attributes:
        linear: its logits.
        shrinkage: share of the covariance that is shrunk; None where slides of one class do not differ, and the
            nearest mean decides.
    """

    linear: Linear
    shrinkage: float | None


def fit_lda(vectors_SD: Floats, labels_S: NDArray[np.int64], priors_C: Floats) -> LdaFit:
    """Fit a Gaussian of its own mean and one shared covariance to each class.

    The covariance is that of all slides around the means of their classes, shrunk towards a multiple of the identity
    by the share of Ledoit and Wolf (A well-conditioned estimator for large-dimensional covariance matrices, 2004):
    `LinearDiscriminantAnalysis(shrinkage=share)` of scikit-learn. There, `shrinkage="auto"` estimates a share for each
    class by itself, which goes wrong where a class has few slides: of two slides it is always 0.

    Args:
        vectors_SD: standardised; every feature varies.
        labels_S: classes 0 .. C - 1, each of which occurs.
        priors_C: of the classes, summing to 1.
    """
    means_CD = np.stack([vectors_SD[labels_S == label].mean(axis=0) for label in range(len(priors_C))])
    residuals_SD = vectors_SD - means_CD[labels_S]
    variance = float(np.square(residuals_SD).mean())
    share, coefficients_CD = None, means_CD
    if variance > _NO_SPREAD:
        share = ledoit_wolf_share(residuals_SD)
        coefficients_CD = _solve(residuals_SD, share, share * variance, means_CD)
    intercepts_C = -0.5 * (means_CD * coefficients_CD).sum(axis=1) + np.log(priors_C)
    return LdaFit(Linear(coefficients_CD, intercepts_C), share)


def ledoit_wolf_share(centred_SD: Floats) -> float:
    """`sklearn.covariance.ledoit_wolf_shrinkage` of centred vectors.

    The sums over all pairs of features are taken over pairs of slides where these are fewer.
    """
    num, num_features = centred_SD.shape
    if num_features == 1:
        return 0.0
    smaller = centred_SD @ centred_SD.T if num < num_features else centred_SD.T @ centred_SD
    squares = float(np.square(smaller).sum()) / num**2
    lengths_S = np.square(centred_SD).sum(axis=1)
    trace = float(lengths_S.sum()) / num
    beta = (float(np.square(lengths_S).sum()) / num - squares) / (num_features * num)
    delta = (squares - trace**2 / num_features) / num_features
    return 0.0 if min(beta, delta) <= 0.0 else min(beta, delta) / delta


def _solve(residuals_SD: Floats, share: float, diagonal: float, means_CD: Floats) -> Floats:
    """The means times the inverse of (1 - share) R'R / S + diagonal I; of directions without variance nothing."""
    _, lengths_R, axes_RD = np.linalg.svd(residuals_SD, full_matrices=False)
    variances_R = (1.0 - share) * np.square(lengths_R) / len(residuals_SD) + diagonal
    inverse_R = np.divide(
        1.0, variances_R, out=np.zeros_like(variances_R), where=variances_R > _NO_DIRECTION * variances_R.max()
    )
    along_CR = means_CD @ axes_RD.T
    solution_CD: Floats = (along_CR * inverse_R) @ axes_RD
    if diagonal > 0.0:  # off these axes the covariance is the diagonal alone
        solution_CD += (means_CD - along_CR @ axes_RD) / diagonal
    return solution_CD
