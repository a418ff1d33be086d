"""Logistic regression with an L2 penalty."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tilewise.training.fitted_heads.linear import Linear

Floats = NDArray[np.float64]

_MOST_STEPS = 1000


def fit_path(
    vectors_SD: Floats, labels_S: NDArray[np.int64], weights_S: Floats, cs: Sequence[float], *, tolerance: float = 1e-4
) -> Iterator[Linear]:
    """`sklearn.linear_model.LogisticRegression` for each C in turn; each fit starts from the one before.

    Where there are more features than slides, the best coefficients are a combination of the slides' vectors, since
    the penalty does not change when features are turned: they are sought among these.

    Args:
        vectors_SD: standardised.
        labels_S: classes 0 .. C - 1, each of which occurs; two at least.
        weights_S: of each slide in the loss.
        cs: inverse strengths of the penalty, smallest first.
        tolerance: of the gradient.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    basis_DS, inputs_SD = None, vectors_SD
    if len(vectors_SD) < vectors_SD.shape[1]:
        basis_DS, triangle_SS = np.linalg.qr(vectors_SD.T)
        inputs_SD = np.ascontiguousarray(triangle_SS.T)
    model = LogisticRegression(tol=tolerance, max_iter=_MOST_STEPS, warm_start=True)
    for c in cs:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a thousand steps are near enough
            model.set_params(C=c).fit(inputs_SD, labels_S, weights_S)
        coefficients_CD, intercepts_C = model.coef_, model.intercept_
        if len(coefficients_CD) == 1:  # of two classes scikit-learn gives the difference
            coefficients_CD = np.concatenate([-coefficients_CD, coefficients_CD]) / 2.0
            intercepts_C = np.concatenate([-intercepts_C, intercepts_C]) / 2.0
        if basis_DS is not None:
            coefficients_CD = coefficients_CD @ basis_DS.T
        yield Linear(np.array(coefficients_CD), np.array(intercepts_C))
