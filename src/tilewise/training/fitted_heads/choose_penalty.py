"""What a fitted head chooses inside its train part: the penalty of a logistic regression, the temperature of lda."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tilewise.metrics import PrimaryMetric
from tilewise.models.config import HIGHEST_TEMPERATURE
from tilewise.training.fitted_heads.inner_folds import FitData, priors
from tilewise.training.fitted_heads.lda import fit_lda
from tilewise.training.fitted_heads.linear import Floats, Linear, softmax
from tilewise.training.fitted_heads.logistic import fit_path
from tilewise.training.history import FitRow
from tilewise.training.scores import score_probabilities

# Values of C that are tried, times the number of features: one range suits vectors of any length.
TRIED = tuple(10.0 ** (exponent / 2) for exponent in range(-2, 7))
UNCHOSEN = 10.0  # of them, where none can be chosen
_TEMPERATURES = (1.0, HIGHEST_TEMPERATURE)  # lda is sure enough of itself


def choose_penalty(data: FitData, select_by: Literal["loss", "metric"], metric: PrimaryMetric) -> list[FitRow]:
    """Every value of C that was tried, the best marked; of equals the stronger penalty is taken.

    Args:
        data: what is fitted to.
        select_by: whether the loss decides, or the metric where it is defined.
        metric: which one.

    Returns:
        One row of an ordinary value where nothing could be scored.
    """
    cs = [tried / data.vectors_SD.shape[1] for tried in TRIED]

    def fit(vectors_SD: Floats, labels_S: NDArray[np.int64], class_weights_C: Floats) -> list[Linear]:
        return list(fit_path(vectors_SD, labels_S, class_weights_C[labels_S], cs))

    part, logits = data.inner_logits(fit)
    if not part.num_slides:
        return [FitRow(UNCHOSEN / data.vectors_SD.shape[1], is_kept=True)]
    scores = [score_probabilities(softmax(one_SC), part, data.class_weights_C, metric) for one_SC in logits]
    by_loss = select_by == "loss" or scores[0][1] is None
    best = int(np.argmin([loss if by_loss else -float(score or 0.0) for loss, score in scores]))
    return [
        FitRow(c, inner_loss=loss, inner_score=score, is_kept=row == best)
        for row, (c, (loss, score)) in enumerate(zip(cs, scores, strict=True))
    ]


def choose_temperature(data: FitData, metric: PrimaryMetric) -> FitRow:
    """What the logits of lda are divided by (Guo et al., On calibration of modern neural networks, ICML 2017).

    Where there are more features than slides, lda is all but certain of every slide, also of those that it gets wrong.
    The temperature that has the least loss over the inner folds changes no predicted class. Where nothing could be
    scored it is 1.
    """
    from scipy.optimize import minimize_scalar

    def fit(vectors_SD: Floats, labels_S: NDArray[np.int64], class_weights_C: Floats) -> list[Linear]:
        return [fit_lda(vectors_SD, labels_S, priors(labels_S, class_weights_C)).linear]

    part, logits = data.inner_logits(fit)
    if not part.num_slides:
        return FitRow(temperature=1.0, is_kept=True)

    def scores(logarithm: float) -> tuple[float, float | None]:
        return score_probabilities(softmax(logits[0] / np.exp(logarithm)), part, data.class_weights_C, metric)

    lowest, highest = np.log(_TEMPERATURES)
    logarithm = float(minimize_scalar(lambda one: scores(one)[0], bounds=(lowest, highest), method="bounded").x)
    loss, score = scores(logarithm)
    return FitRow(temperature=float(np.exp(logarithm)), inner_loss=loss, inner_score=score, is_kept=True)
