"""How several runs are combined: no part of a recipe, because a recipe speaks of one run."""

from __future__ import annotations

from typing import Literal, get_args

Method = Literal["average", "weighted", "greedy", "stack-logistic", "stack-boosting", "stack-boosting-ovr"]
METHODS: tuple[Method, ...] = get_args(Method)

_METHODS: dict[Method, str] = {
    "average": "the plain mean of the runs' probabilities",
    "weighted": "the weighted mean of the runs' probabilities with the least log loss",
    "greedy": "the mean of the runs that a bagged greedy search for macro F1 picks (Caruana et al. 2004)",
    "stack-logistic": "a penalised softmax regression on the logarithms of the runs' probabilities",
    "stack-boosting": "boosted trees that correct the runs' plain mean (LightGBM)",
    "stack-boosting-ovr": "boosted trees that correct the runs' plain mean, one class against the others (LightGBM)",
}


def describe_method(method: Method) -> str:
    """The method in words."""
    return _METHODS[method]
