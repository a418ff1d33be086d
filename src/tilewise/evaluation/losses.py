"""Which slides cost most."""

from __future__ import annotations

from collections.abc import Sequence

from tilewise.evaluation.results import SlideLoss
from tilewise.evaluation.sample import Sample
from tilewise.metrics import log_losses

_MOST = 50


def highest_losses(samples: Sequence[Sample], *, most: int = _MOST) -> tuple[SlideLoss, ...]:
    """The slides with the highest log loss, that first; of equals, in the order of names.

    Args:
        samples: sets of slides that have none in common.
        most: slides returned.
    """
    rows = [
        SlideLoss(
            slide=name,
            label=sample.classes[sample.truth_N[place]],
            predicted=sample.classes[sample.predicted_N[place]],
            label_probability=float(sample.probabilities_NC[place, sample.truth_N[place]]),
            log_loss=float(loss),
            fold=int(sample.fold_N[place]),
        )
        for sample in samples
        for place, (name, loss) in enumerate(
            zip(sample.slides, log_losses(sample.truth_N, sample.probabilities_NC), strict=True)
        )
    ]
    rows.sort(key=lambda row: (-row.log_loss, row.slide))
    return tuple(rows[:most])
