"""How much the model of each fold counts in the classifier that is deployed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tilewise.ensemble.config import EnsembleConfig
from tilewise.errors import ArtifactError, FoldsError
from tilewise.evaluation.sample import Sample
from tilewise.folds import Folds, derived_seed
from tilewise.inference.predictions import Predictions
from tilewise.metrics import PrimaryMetric, primary_score

Floats = npt.NDArray[np.float64]

_NUM_DRAWS = 4000
_ROUNDING, _BOUNDLESS = 1e-12, 1e12
_LEAST = 1e-6  # a slide that is certainly wrong costs 13.8, not infinity


@dataclass(frozen=True)
class FoldScore:
    """How good a fold's model is on its own `validation` part.

    Attributes:
        score: by the recipe's `evaluation.metric`, over its slides; 0 where that is not defined.
        log_scores_G: logarithm of the true class's probability, summed over the slides of each group.
        num_slides_G: slides of each group.
    """

    score: float
    log_scores_G: Floats
    num_slides_G: Floats

    @property
    def mean_log_score(self) -> float:
        """Over slides."""
        return float(self.log_scores_G.sum() / self.num_slides_G.sum())

    @property
    def variance(self) -> float:
        """Of the mean log score, over groups; at least rounding, and boundless where there is a single group."""
        num_groups = len(self.log_scores_G)
        if num_groups < 2:
            return _BOUNDLESS
        off_G = (self.log_scores_G - self.mean_log_score * self.num_slides_G) / self.num_slides_G.sum()
        return max(float(np.square(off_G).sum()) * num_groups / (num_groups - 1), _ROUNDING)


def check_ensemble(folds: Folds, config: EnsembleConfig) -> None:
    """Refuse what these folds cannot give, before anything is trained.

    Raises:
        FoldsError: there are fewer folds than models asked for, or a fold has no `validation` part to be weighed by.
    """
    if config.num_members is not None and config.num_members > len(folds.folds):
        raise FoldsError(
            f"ensemble.num_members={config.num_members} and there are {len(folds.folds)} folds; ask for fewer, or set "
            "ensemble.members=all"
        )
    empty = [str(number) for number, fold in enumerate(folds.folds) if not fold.validation]
    if config.uses_validation and empty:
        raise FoldsError(
            f"fold {empty[0]} has no validation part, so its model cannot be weighed; set ensemble.members=all and "
            "ensemble.weights=equal, or ask for fewer folds"
        )


def fold_weights(
    predictions: Predictions,
    folds: Folds,
    config: EnsembleConfig,
    *,
    seed: int = 0,
    metric: PrimaryMetric = "macro_f1",
) -> tuple[float, ...]:
    """Weight of each fold's model: 0 for one that is left out; they sum to 1.

    Each model is judged by its own `validation` slides, which it did not learn from; rows of other parts are passed
    over. Models of different folds are so judged by different slides, and a difference of a few of them is mostly
    noise. `fitted` takes this into account in two steps. The mean log scores are drawn towards their common mean, as
    far as their spread is no more than chance explains (the random effects of DerSimonian and Laird 1986; errors over
    groups). What is left of a difference goes into pseudo-BMA weights (Yao, Vehtari, Simpson and Gelman 2018, section
    3.4): the mean, over draws of the log scores within their errors, of exp(n * mean log score), scaled to sum to 1,
    n being the mean number of slides of a validation part. Models that cannot be told apart count the same; one that is
    surely better takes nearly all. Without the first step the best of equals would take most of the weight by luck.

    Args:
        predictions: with the `validation` part of every fold, each predicted by its own model.
        folds: of the run.
        config: which and how.
        seed: of the draws.
        metric: that `best` and `validation_score` go by.

    Raises:
        FoldsError: as `check_ensemble`.
        ArtifactError: a fold's `validation` predictions are missing.
    """
    check_ensemble(folds, config)
    num_folds = len(folds.folds)
    if not config.uses_validation:
        return (1.0 / num_folds,) * num_folds
    scores = [_score(predictions, number, metric) for number in range(num_folds)]
    chosen = _best(scores, config.num_members or num_folds)
    weights_M = np.zeros(num_folds)
    weights_M[chosen] = _weigh([scores[number] for number in chosen], config, seed)
    return tuple(float(weight) for weight in weights_M / weights_M.sum())


def _score(predictions: Predictions, number: int, metric: PrimaryMetric) -> FoldScore:
    table = predictions.table
    sample = Sample.of(table[(table["part"] == "validation") & (table["fold"] == number)], predictions.classes)
    if not sample.num_slides:
        raise ArtifactError(f"the predictions hold no validation part of fold {number}; run `tilewise train` again")
    own_N = sample.probabilities_NC[np.arange(sample.num_slides), sample.truth_N]
    return FoldScore(
        primary_score(metric, sample.truth_N, sample.predicted_N, sample.probabilities_NC) or 0.0,
        _sums(np.log(np.maximum(own_N, _LEAST)), sample),
        _sums(np.ones(sample.num_slides), sample),
    )


def _sums(values_N: Floats, sample: Sample) -> Floats:
    return np.bincount(sample.group_N, values_N, sample.num_groups).astype(np.float64)


def _best(scores: list[FoldScore], num: int) -> list[int]:
    """The best by score; of equals the one with the better log score, then the first."""

    def selection_loss(number: int) -> tuple[float, float, int]:
        score = scores[number]
        return -score.score, -score.mean_log_score, number

    return sorted(sorted(range(len(scores)), key=selection_loss)[:num])


def _weigh(scores: list[FoldScore], config: EnsembleConfig, seed: int) -> Floats:
    equal_M = np.ones(len(scores))
    if config.weights == "equal":
        return equal_M
    if config.weights == "validation_score":
        scores_M = np.array([score.score for score in scores])
        return scores_M if scores_M.sum() > 0 else equal_M
    return pseudo_bma(scores, seed=seed)


def pseudo_bma(scores: list[FoldScore], *, seed: int) -> Floats:
    """Pseudo-BMA weights of models that were judged by slides of their own, float64 (M,), summing to 1."""
    mean_M, variance_M = _pooled(scores)
    num_slides = float(np.mean([score.num_slides_G.sum() for score in scores]))
    rng = np.random.default_rng(derived_seed(seed, *b"ensemble"))
    draws_DM = mean_M + np.sqrt(variance_M) * rng.normal(size=(_NUM_DRAWS, len(scores)))
    elpd_DM = num_slides * draws_DM
    odds_DM = np.exp(elpd_DM - elpd_DM.max(axis=1, keepdims=True))
    weights_M: Floats = (odds_DM / odds_DM.sum(axis=1, keepdims=True)).mean(axis=0)
    return weights_M


def _pooled(scores: list[FoldScore]) -> tuple[Floats, Floats]:
    """Mean log score of each model, and its variance, drawn towards all models' by how much is chance."""
    own_M = np.array([score.mean_log_score for score in scores])
    error_M = np.array([score.variance for score in scores])
    precision_M = 1.0 / error_M
    common = float(precision_M @ own_M / precision_M.sum())
    excess = float(precision_M @ np.square(own_M - common)) - (len(scores) - 1)
    scale = float(precision_M.sum() - np.square(precision_M).sum() / precision_M.sum())
    between = max(0.0, excess / scale) if scale > 0.0 else 0.0
    total_M = 1.0 / (error_M + between)
    common = float(total_M @ own_M / total_M.sum())
    trust_M = between / (between + error_M)
    return common + trust_M * (own_M - common), trust_M * error_M
