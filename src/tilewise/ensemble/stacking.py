"""Small models that learn from runs' probabilities what the label is (stacked generalisation, Wolpert 1992)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewise.ensemble.examples import Examples
from tilewise.inference.combiner import Boosted, Logistic, boosting_start, import_lightgbm, log_features

_PENALTY = 0.1  # scikit-learn's C: the smaller, the closer to saying nothing
_NUM_ROUNDS = 40
# A hundred slides bear no more: shallow trees, small steps, leaves of many slides.
_TREES = {
    "num_leaves": 4,
    "max_depth": 2,
    "learning_rate": 0.05,
    "min_sum_hessian_in_leaf": 1e-3,
    "lambda_l2": 10.0,
    "feature_fraction": 0.8,
    "max_bin": 63,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


def fit_logistic(examples: Examples) -> Logistic:
    """Softmax regression with an L2 penalty on the logarithms of the probabilities, by scikit-learn."""
    from sklearn import linear_model

    features_NF = log_features(examples.probabilities_RNC)
    model = linear_model.LogisticRegression(C=_PENALTY, solver="lbfgs", max_iter=10_000, tol=1e-6)
    model.fit(features_NF, examples.truth_N, sample_weight=examples.weights_N)
    coefficients_KF, intercepts_K = model.coef_, model.intercept_
    if len(coefficients_KF) == 1:  # scikit-learn writes two classes as one against the other
        coefficients_KF = np.concatenate([np.zeros_like(coefficients_KF), coefficients_KF])
        intercepts_K = np.concatenate([np.zeros(1), intercepts_K])
    return Logistic(
        tuple(int(index) for index in model.classes_),
        np.array(coefficients_KF, dtype=np.float64, order="C"),
        np.array(intercepts_K, dtype=np.float64),
    )


def fit_boosted(examples: Examples, *, one_vs_rest: bool, seed: int) -> Boosted:
    """Gradient-boosted trees (LightGBM, Ke et al. 2017) that start from the runs' plain mean and correct it.

    Raises:
        UsageError: LightGBM is not installed.
    """
    classes = examples.present
    features_NF = log_features(examples.probabilities_RNC)
    start_NK = boosting_start(examples.probabilities_RNC, classes, one_vs_rest=one_vs_rest)
    labels_N = np.searchsorted(classes, examples.truth_N)
    parameters = _TREES | {"seed": seed % 2**31, "min_data_in_leaf": max(3, len(labels_N) // 20)}
    if one_vs_rest:
        models = tuple(
            _train(features_NF, labels_N == index, examples, start_NK[:, index], parameters | {"objective": "binary"})
            for index in range(len(classes))
        )
    else:
        asked = parameters | {"objective": "multiclass", "num_class": len(classes)}
        models = (_train(features_NF, labels_N, examples, start_NK, asked),)
    return Boosted(classes, models, one_vs_rest)


def _train(features_NF: Any, labels_N: Any, examples: Examples, start: Any, parameters: dict[str, Any]) -> str:
    lightgbm = import_lightgbm()
    # LightGBM wants the start of several classes one class after the other.
    data = lightgbm.Dataset(
        features_NF,
        label=labels_N.astype(np.float64),
        weight=examples.weights_N,
        init_score=np.ascontiguousarray(start).reshape(-1, order="F"),
        free_raw_data=False,
    )
    return str(lightgbm.train(parameters, data, num_boost_round=_NUM_ROUNDS).model_to_string())
