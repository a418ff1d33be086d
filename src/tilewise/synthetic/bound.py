"""The best macro F1 anyone can reach on a synthetic cohort, from the known densities of its latents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.latents import Array, draw_latents, posterior, priors

_NUM_DRAWS = 100_000
_NUM_STEPS = 30
# Streams of the random numbers of this module; see `plan`.
_FIT_STREAM, _SCORE_STREAM = 7_001, 7_002


@dataclass(frozen=True)
class BestRule:
    """A classifier of known latents that maximises the expected macro F1.

    It is a mixture of rules `argmax_c gain_c * p_c(x) - cost_c`, plus a share of guessing by class frequency
    (which is all that is left when there is no signal).

    Attributes:
        weights: (rules,) share of each rule; what is missing to 1 is the guessing.
        gains: (rules, classes).
        costs: (rules, classes).
    """

    weights: Array
    gains: Array
    costs: Array

    def confusion(self, posteriors: Array, labels: npt.NDArray[np.intp]) -> Array:
        """Expected confusion, (true, predicted), as shares that sum to 1."""
        num_classes = posteriors.shape[1]
        shares = np.bincount(labels, minlength=num_classes) / len(labels)
        guessing = max(0.0, 1.0 - float(self.weights.sum()))
        total = guessing * np.outer(shares, shares)
        for weight, gain, cost in zip(self.weights, self.gains, self.costs, strict=True):
            total = total + weight * _confusion(labels, (gain * posteriors - cost).argmax(axis=1), num_classes)
        return np.asarray(total)


@dataclass(frozen=True)
class Bound:
    """Best reachable scores over endless slides, by Monte Carlo.

    Attributes:
        macro_f1: of the rule that maximises it.
        macro_f1_of_likeliest_class: of always answering the likeliest class.
        accuracy: of always answering the likeliest class, which maximises it.
        num_draws: draws the scores were taken on; the rule was fitted on as many others.
        rule: the maximising rule.
    """

    macro_f1: float
    macro_f1_of_likeliest_class: float
    accuracy: float
    num_draws: int
    rule: BestRule


def best_reachable(config: SynthConfig, *, num_draws: int = _NUM_DRAWS) -> Bound:
    """Find the classifier of the latents with the highest macro F1, and score it on fresh draws.

    Pictures and masks show the latents through finitely many nuclei and pixels, so no classifier of pictures can
    score higher in expectation.
    """
    fit_posteriors, fit_labels = _sample(config, num_draws, _FIT_STREAM)
    rule = _fit(fit_posteriors, fit_labels)
    posteriors, labels = _sample(config, num_draws, _SCORE_STREAM)
    likeliest = _confusion(labels, posteriors.argmax(axis=1), posteriors.shape[1])
    return Bound(
        macro_f1=macro_f1(rule.confusion(posteriors, labels)),
        macro_f1_of_likeliest_class=macro_f1(likeliest),
        accuracy=float(np.trace(likeliest)),
        num_draws=num_draws,
        rule=rule,
    )


def macro_f1(confusion: Array) -> float:
    """Mean over the classes of 2 TP / (2 TP + FP + FN), from shares (true, predicted); 0 where a class is empty."""
    denominator = confusion.sum(axis=0) + confusion.sum(axis=1)
    scores = np.divide(2.0 * np.diag(confusion), denominator, out=np.zeros(len(confusion)), where=denominator > 0)
    return float(scores.mean())


def _fit(posteriors: Array, labels: npt.NDArray[np.intp]) -> BestRule:
    """Frank-Wolfe over the convex set of reachable confusions, from guessing upward.

    Macro F1 is a smooth function of the confusion, so at its maximum the classifier maximises the function's
    linearisation, a reweighted argmax (Narasimhan et al., ICML 2015).
    """
    num_classes = posteriors.shape[1]
    shares = np.bincount(labels, minlength=num_classes) / len(labels)
    confusion = np.outer(shares, shares)
    weights: list[float] = []
    gains: list[Array] = []
    costs: list[Array] = []
    for _ in range(_NUM_STEPS):
        total = confusion.sum(axis=0) + confusion.sum(axis=1)
        gain = 2.0 / total
        cost = 2.0 * np.diag(confusion) / total**2
        target = _confusion(labels, (gain * posteriors - cost).argmax(axis=1), num_classes)
        step = _best_step(confusion, target)
        if step == 0.0:
            break
        confusion = (1.0 - step) * confusion + step * target
        weights = [(1.0 - step) * weight for weight in weights] + [step]
        gains.append(gain)
        costs.append(cost)
    used = [index for index, weight in enumerate(weights) if weight > 0.0]
    shape = (len(used), num_classes)
    return BestRule(
        np.array([weights[index] for index in used]),
        np.array([gains[index] for index in used]).reshape(shape),
        np.array([costs[index] for index in used]).reshape(shape),
    )


def _best_step(start: Array, end: Array) -> float:
    """Share of `end` in the mixture with the highest macro F1; 0 when none is better than `start`."""
    steps = np.linspace(0.0, 1.0, 101)
    scores = [macro_f1((1.0 - step) * start + step * end) for step in steps]
    best = int(np.argmax(scores))
    return float(steps[best]) if scores[best] > scores[0] + 1e-9 else 0.0


def _sample(config: SynthConfig, num_draws: int, stream: int) -> tuple[Array, npt.NDArray[np.intp]]:
    rng = np.random.default_rng([config.seed, stream])
    labels = rng.choice(len(config.classes), size=num_draws, p=priors(config))
    return posterior(config, draw_latents(config, labels, rng)), labels


def _confusion(labels: npt.NDArray[np.intp], predicted: npt.NDArray[np.intp], num_classes: int) -> Array:
    counts = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return np.asarray(counts.reshape(num_classes, num_classes) / len(labels))
