"""What an evaluation holds: scores with their intervals, as typed values that round-trip through JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tilewise.evaluation.interval import Estimate
from tilewise.metrics import METRIC_NAMES
from tilewise.wording import count


@dataclass(frozen=True)
class Metrics:
    """Every metric of `tilewise.metrics.METRIC_NAMES`, each with its interval."""

    macro_f1: Estimate
    weighted_f1: Estimate
    balanced_accuracy: Estimate
    accuracy: Estimate
    auroc_macro: Estimate
    macro_precision: Estimate
    macro_recall: Estimate
    weighted_precision: Estimate
    weighted_recall: Estimate

    def estimate(self, metric: str) -> Estimate:
        """One metric by its name."""
        estimate: Estimate = getattr(self, metric)
        return estimate


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class.

    Attributes:
        precision: share of the slides predicted as this class that are of it.
        recall: share of this class's slides that are predicted so.
        f1: harmonic mean of both.
        auroc: this class against all others.
        support: slides of this class.
        log_loss: mean over its slides; None without any.
    """

    precision: Estimate
    recall: Estimate
    f1: Estimate
    auroc: Estimate
    support: int
    log_loss: float | None


@dataclass(frozen=True)
class ConfusionMatrix:
    """Slides by true class (rows) and predicted class (columns), both in the order of `labels`."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Baselines:
    """What guessing scores on the same slides.

    Attributes:
        commonest: always the commonest class of the training slides.
        random: every class equally often; `low` and `high` are a range of guessers, see `guessing.uniform`.
    """

    commonest: Metrics
    random: Metrics


Question = Literal["recipe", "models"]
QUESTIONS: Mapping[str, str] = {
    "recipe": "the recipe on new slides, trained on another cohort of this size",
    "models": "these very models on other slides",
}

_TOO_FEW = 8  # groups; with fewer, the spread of resamples is itself a guess
_FEW = 30  # groups; with fewer, coverage of intervals is known from a few simulated settings alone


def few_units(num_units: int, unit: str) -> str:
    """A sentence where an interval rests on few groups, or slides where each is a group; '' where it does not."""
    if not 1 < num_units < _FEW:
        return ""
    only = f"Only {count(num_units, unit)}"
    if num_units < _TOO_FEW:
        return (
            f"{only}: resamples of so few may be alike by chance, and the intervals far too short. Do not rely on them."
        )
    return f"{only}: with fewer than {_FEW} the intervals are rough, beside being wide."


@dataclass(frozen=True)
class IntervalMethod:
    """How intervals were made.

    Attributes:
        level: of confidence.
        method: in words.
        resamples: number of bootstrap resamples.
        unit: what is resampled, `group` or `slide`.
        question: what the intervals hold, a key of `QUESTIONS`: the score of the recipe, or of the models at hand.
        training_share: metric -> share of the variance of the resamples that is added for training on other slides,
            see `evaluation/training_share.py`; empty where the question is about the models.
    """

    level: float
    method: str
    resamples: int
    unit: str
    question: Question = "models"
    training_share: Mapping[str, float] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """What the intervals hold, in words."""
        return QUESTIONS[self.question]


@dataclass(frozen=True, repr=False)
class Scores(Metrics):
    """Scores of one set of slides.

    Attributes:
        log_loss: mean over slides.
        per_class: class -> its scores.
        confusion: slides by true and predicted class.
        baselines: what guessing scores.
        num_slides: that were scored.
        num_groups: that these slides make up.
        interval: how intervals were made.
        notes: what limits these scores, a sentence each.
    """

    log_loss: float
    per_class: Mapping[str, ClassScores]
    confusion: ConfusionMatrix
    baselines: Baselines
    num_slides: int
    num_groups: int
    interval: IntervalMethod
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Scores of {count(self.num_slides, 'slide')}: macro_f1 {self.macro_f1}, accuracy {self.accuracy}>"

    def rows(self) -> Iterator[dict[str, Any]]:
        """See `Evaluation.to_frame`; a row for each metric, then the classes'."""
        for metric in METRIC_NAMES:
            guessing = {
                "commonest": self.baselines.commonest.estimate(metric).value,
                "random": self.baselines.random.estimate(metric).value,
            }
            yield {"class": None, "metric": metric, **asdict(self.estimate(metric)), **guessing}
        yield {"class": None, "metric": "log_loss", "value": self.log_loss}
        for name, scores in self.per_class.items():
            for metric in ("precision", "recall", "f1", "auroc"):
                yield {"class": name, "metric": metric, **asdict(getattr(scores, metric))}
            yield {"class": name, "metric": "log_loss", "value": scores.log_loss}


@dataclass(frozen=True)
class FoldMean:
    """Mean of a metric over the folds in which it is defined, and the sample standard deviation (None for one fold)."""

    mean: float | None
    std: float | None
    num_folds: int


@dataclass(frozen=True)
class SlideLoss:
    """The log loss of one slide.

    Attributes:
        slide: its id.
        label: its class.
        predicted: the class that was predicted.
        label_probability: of its class.
        log_loss: negative logarithm of that probability.
        fold: that predicted it; -1 outside the folds.
    """

    slide: str
    label: str
    predicted: str
    label_probability: float
    log_loss: float
    fold: int
