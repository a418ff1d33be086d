"""Weights of runs: those with the least log loss, or those that a greedy search for macro F1 arrives at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tilewise.ensemble.examples import Examples
from tilewise.metrics import macro_f1_of

Floats = npt.NDArray[np.float64]

_LEAST = 1e-6  # a slide that is certainly wrong costs 13.8, not infinity
_NEGLIGIBLE = 1e-4  # a weight below this is rounding
_NUM_BAGS = 40
_NUM_STEPS = 20


def simplex_weights(examples: Examples) -> tuple[float, ...]:
    """Weights, none negative and together 1, of the mean of probabilities with the least weighted log loss.

    The loss is convex in the weights, so there is one minimum (stacking of predictive distributions: Yao, Vehtari,
    Simpson and Gelman 2018).
    """
    from scipy.optimize import minimize

    rows_N = np.arange(len(examples.truth_N))
    own_RN = np.maximum(examples.probabilities_RNC[:, rows_N, examples.truth_N], _LEAST)
    num_runs = len(own_RN)
    shares_N = examples.weights_N / examples.weights_N.sum()

    def loss(weights_R: Floats) -> tuple[float, Floats]:
        mean_N = weights_R @ own_RN
        return -float(shares_N @ np.log(mean_N)), -(own_RN @ (shares_N / mean_N))

    minimum = minimize(
        loss,
        np.full(num_runs, 1.0 / num_runs),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * num_runs,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": np.ones_like},
        options={"maxiter": 1000, "ftol": 1e-14},
    )
    return _cleaned(minimum.x)


def greedy_weights(examples: Examples, *, seed: int) -> tuple[float, ...]:
    """Weights by ensemble selection: runs are added one by one, a run as often as it helps (Caruana et al. 2004).

    Each step adds the run whose addition to the mean gives the highest macro F1; of equals, the one with the least log
    loss. The best set on the way is kept. One such search overfits a small validation part, so that it is bagged: the
    weights are the mean over searches on bootstrap samples of groups. Caruana bags the library; here that has few runs
    and the slides are what is scarce.
    """
    rng = np.random.default_rng(seed)
    num_groups = int(examples.group_N.max()) + 1
    drawn_BG = np.stack(
        [np.bincount(rng.integers(num_groups, size=num_groups), minlength=num_groups) for _ in range(_NUM_BAGS)]
    )
    # Slides count as often as they were drawn; macro F1 weighs classes by itself.
    shares_BR = _search(examples, drawn_BG[:, examples.group_N].astype(np.float64))
    return _cleaned(shares_BR.mean(axis=0))


def _search(examples: Examples, counts_BN: Floats) -> Floats:
    """Share of each run in the best set of each of B searches, float64 (B, R)."""
    runs_RNC = examples.probabilities_RNC
    bags_B = np.arange(len(counts_BN))
    sums_BNC = np.zeros((len(counts_BN), *runs_RNC.shape[1:]))
    added_BR, best_BR = (np.zeros((len(counts_BN), len(runs_RNC))) for _ in range(2))
    best_f1_B, best_log_B = (np.full(len(counts_BN), -np.inf) for _ in range(2))
    for _ in range(_NUM_STEPS):
        scores = [_score(sums_BNC + run_NC, examples, counts_BN) for run_NC in runs_RNC]
        f1_BR, log_BR = (np.stack([score[which] for score in scores], axis=1) for which in range(2))
        chosen_B = np.where(f1_BR == f1_BR.max(axis=1, keepdims=True), log_BR, -np.inf).argmax(axis=1)
        added_BR[bags_B, chosen_B] += 1.0
        sums_BNC = sums_BNC + runs_RNC[chosen_B]
        f1_B, log_B = f1_BR[bags_B, chosen_B], log_BR[bags_B, chosen_B]
        better_B = (f1_B > best_f1_B) | ((f1_B == best_f1_B) & (log_B > best_log_B))
        best_f1_B, best_log_B = np.where(better_B, f1_B, best_f1_B), np.where(better_B, log_B, best_log_B)
        best_BR[better_B] = added_BR[better_B]
    shares_BR: Floats = best_BR / best_BR.sum(axis=1, keepdims=True)
    return shares_BR


def _score(sums_BNC: Floats, examples: Examples, counts_BN: Floats) -> tuple[Floats, Floats]:
    """Macro F1 and the log score of each bag's mean of probabilities, on the slides that it drew."""
    num_bags, num_slides, num_classes = sums_BNC.shape
    cells_BN = examples.truth_N * num_classes + sums_BNC.argmax(axis=2) + np.arange(num_bags)[:, None] * num_classes**2
    confusion = np.bincount(cells_BN.ravel(), counts_BN.ravel(), num_bags * num_classes**2)
    own_BN = sums_BNC[:, np.arange(num_slides), examples.truth_N] / sums_BNC.sum(axis=2)
    logs_BN = np.log(np.maximum(own_BN, _LEAST))
    return macro_f1_of(confusion.reshape(num_bags, num_classes, num_classes)), (counts_BN * logs_BN).sum(axis=1)


def _cleaned(weights_R: Floats) -> tuple[float, ...]:
    thresholded_R = np.where(weights_R < _NEGLIGIBLE, 0.0, weights_R)
    return tuple(float(weight) for weight in thresholded_R / thresholded_R.sum())
