"""What an evaluation holds of probabilities, prediction sets and abstaining; plain values that go through JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tilewise.evaluation.interval import Estimate


@dataclass(frozen=True)
class ReliabilityBin:
    """Slides of similar confidence.

    Attributes:
        confidence: mean probability of their predicted classes.
        right: share of them that are predicted right.
        num_slides: in the bin.
    """

    confidence: float
    right: Estimate
    num_slides: int


@dataclass(frozen=True)
class ProbabilityScores:
    """How far probabilities can be taken at their word.

    Attributes:
        ece: expected calibration error of the predicted class: the mean over slides of how far a bin's confidence is
            from its share of right predictions, in bins of as many slides each. The interval allows for
            what chance adds.
        chance_ece: the ECE of the same slides were every confidence exactly right: mean, and the range of such labels.
            With few slides it is far from 0, and an ECE in this range gives no reason to doubt the probabilities.
        brier: mean over slides of the summed squares of probability minus truth, 0 to 2 (Brier 1950).
        log_loss: mean over slides.
        bins: of the reliability diagram, least confident first.
        mean_probability: class -> its mean probability over all slides, to be held against its share.
    """

    ece: Estimate
    chance_ece: Estimate
    brier: Estimate
    log_loss: Estimate
    bins: tuple[ReliabilityBin, ...]
    mean_probability: Mapping[str, float]


@dataclass(frozen=True)
class CalibrationScores:
    """The probabilities of one set of slides, as the models give them and calibrated.

    Attributes:
        scores: of the models' own probabilities, which decide the predicted class.
        calibrated: of the calibrated ones; None where there were too few slides to fit to.
        class_shares: class -> its share of the slides.
        shares_brier: Brier score of giving every slide these shares.
        num_overruled: slides whose highest calibrated probability is not that of the predicted class; None where there
            are no calibrated ones, and in runs of earlier versions.
    """

    scores: ProbabilityScores
    calibrated: ProbabilityScores | None
    class_shares: Mapping[str, float]
    shares_brier: float
    num_overruled: int | None = None


@dataclass(frozen=True)
class SetCoverage:
    """How often sets hold the slide's class, and how large they are.

    Attributes:
        coverage: share of slides whose set holds their class.
        class_coverage: the same over the slides of each class.
        mean_size: classes in a set.
        single: share of sets that hold one class only.
        single_right: share of those that are right.
    """

    coverage: Estimate
    class_coverage: Mapping[str, Estimate]
    mean_size: float
    single: float
    single_right: Estimate


@dataclass(frozen=True)
class SetScores:
    """Prediction sets of one set of slides.

    Attributes:
        target: coverage that was asked for.
        by_class: sets that promise it for the slides of each class, as `tilewise predict` writes them.
        overall: sets that promise it over all slides only.
        notes: what limits these numbers, a sentence each.
    """

    target: float
    by_class: SetCoverage
    overall: SetCoverage
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class AbstentionPoint:
    """What is left where the least confident slides are left to a person.

    Attributes:
        abstained: share of slides without an answer.
        confidence: the lowest that is answered.
        accuracy: of the answered slides.
        macro_f1: likewise.
    """

    abstained: float
    confidence: float
    accuracy: Estimate
    macro_f1: Estimate
