"""What was decided in a review, how much of it blind, and how often blind readings agree with label and model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from tilewise.auditing.decision_log import SKIP, DecisionLog
from tilewise.evaluation.interval import Estimate, exact_limit, score_interval
from tilewise.evaluation.resample import draw_weights
from tilewise.serving.review.reviewed_run import ReviewedRun
from tilewise.wording import count

_LEVEL: Final = 0.95
_NUM_RESAMPLES: Final = 2000


@dataclass(frozen=True)
class Agreement:
    """How often blind readings name the same class as the label, or as the model.

    Attributes:
        num_readings: of slides that have such a class.
        num_equal: readings that name it.
        num_groups: groups of these slides, over which the interval is.
        share: equal readings, with an interval of 95 %.
    """

    num_readings: int
    num_equal: int
    num_groups: int
    share: Estimate


@dataclass(frozen=True)
class ReviewSummary:
    """The decisions of a review.

    Attributes:
        num_decisions: that count.
        num_blind: of these, taken blind.
        num_readings: classes that somebody gave a slide blind.
        num_readers: who gave them.
        label: agreement with the label that the run learnt.
        model: agreement with the class that the run predicts out of fold.
    """

    num_decisions: int
    num_blind: int
    num_readings: int
    num_readers: int
    label: Agreement
    model: Agreement

    def to_json(self) -> dict[str, Any]:
        """Plain data, with the sentences."""
        return asdict(self) | {"sentences": list(self.sentences())}

    def sentences(self) -> Iterator[str]:
        """The summary in words."""
        yield f"{count(self.num_decisions, 'decision')}, {self.num_blind} of them taken blind"
        if not self.num_readings:
            return
        yield f"{count(self.num_readings, 'blind reading')} by {count(self.num_readers, 'reader')}"
        for name, one in (("label", self.label), ("model", self.model)):
            if one.num_readings:
                yield (
                    f"{one.num_equal} of {one.num_readings} agree with the {name}: {one.share:.0%}, "
                    f"over {count(one.num_groups, 'group')}"
                )
            else:
                yield f"no slide that was read has a {'label' if name == 'label' else 'prediction'} to agree with"


def summarise_review(run: ReviewedRun, log: DecisionLog) -> ReviewSummary:
    """Count the decisions of a log, and hold blind readings against label and model.

    A reading that confirms the label names it. The interval is over groups of slides.
    """
    items = {item.slide.slide_id: item for item in run.slides}
    acts = [act for act in log.current().values() if act.decision != SKIP]
    readings = [act for act in log.blind_readings() if act.slide in items]
    groups, labels, models = [], [], []
    for act in readings:
        item = items[act.slide]
        reading = act.value if act.decision == "relabel" else item.label
        groups.append(item.group or act.slide)
        labels.append(None if item.label is None else reading == item.label)
        models.append(None if item.prediction is None else reading == item.prediction.predicted)
    return ReviewSummary(
        len(acts),
        sum(act.blind for act in acts),
        len(readings),
        len({act.author for act in readings}),
        _agreement(labels, groups),
        _agreement(models, groups),
    )


def _agreement(equal: Sequence[bool | None], groups: Sequence[str]) -> Agreement:
    """Of readings that are equal, unequal or have nothing to be equal to."""
    pairs = [(is_equal, group) for is_equal, group in zip(equal, groups, strict=True) if is_equal is not None]
    names, group_N = np.unique([group for _, group in pairs], return_inverse=True)
    equal_N = np.array([is_equal for is_equal, _ in pairs], dtype=np.float64)
    hits_G, sizes_G = np.bincount(group_N, equal_N, len(names)), np.bincount(group_N, minlength=len(names))
    num_equal = int(equal_N.sum())
    value, resampled_R = float("nan"), np.empty(0)
    if pairs:
        weights_RG = draw_weights(len(names), _NUM_RESAMPLES, np.random.default_rng(0))
        value, resampled_R = num_equal / len(pairs), (weights_RG @ hits_G) / (weights_RG @ sizes_G)
    limit = exact_limit(len(names), _LEVEL)
    share = score_interval(value, resampled_R, num_units=len(names), level=_LEVEL, limit=limit)
    return Agreement(len(pairs), num_equal, len(names), share)
