"""One combiner of several runs, by any method."""

from __future__ import annotations

from tilewise.ensemble.examples import Examples
from tilewise.ensemble.methods import Method
from tilewise.ensemble.stacking import fit_boosted, fit_logistic
from tilewise.ensemble.weights import greedy_weights, simplex_weights
from tilewise.inference.combiner import Combiner, WeightedMean


def average(num_runs: int) -> WeightedMean:
    """Every run counts the same; nothing is fitted."""
    return WeightedMean((1.0 / num_runs,) * num_runs)


def fit_combiner(method: Method, examples: Examples, *, seed: int) -> Combiner:
    """Fit a combiner to slides that no model of the runs has learnt from.

    Args:
        method: which; `average` looks at nothing.
        examples: the slides.
        seed: of what is random in `greedy` and in boosting.

    Raises:
        UsageError: boosting is asked for, and LightGBM is not installed.
    """
    if method == "average":
        return average(len(examples.probabilities_RNC))
    if method == "weighted":
        return WeightedMean(simplex_weights(examples))
    if method == "greedy":
        return WeightedMean(greedy_weights(examples, seed=seed))
    if method == "stack-logistic":
        return fit_logistic(examples)
    return fit_boosted(examples, one_vs_rest=method == "stack-boosting-ovr", seed=seed)
