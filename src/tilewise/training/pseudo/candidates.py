"""Which slides without a label may take part in a fold."""

from __future__ import annotations

from collections.abc import Iterable

from tilewise.folds import FoldItem, Folds

# What the table's split column says of slides that may teach.
_MAY_TEACH = ("", "train", "training")


def candidates(unlabelled: Iterable[FoldItem], folds: Folds, number: int) -> tuple[str, ...]:
    """The slides that a fold's model may be asked about and trained on, sorted.

    A slide whose group holds a slide of the fold's validation or test part, or of the hold-out, is none of them: what
    is learnt from it would be learnt of slides that the model is judged by. Where the folds are the table's own split,
    neither is a slide (or its group) that the table sets apart from training.

    Args:
        unlabelled: slides of the cohort; those with a label are passed over.
        folds: of the slides with a label.
        number: of the fold, from 0.
    """
    items = [item for item in unlabelled if item.label is None]
    fold, key_of = folds.folds[number], {item.slide_id: item.group_key for item in folds.items}
    apart = {key_of[name] for name in (*fold.validation, *fold.test, *folds.holdout)}
    if folds.origin.get("config", {}).get("source") == "split":
        apart |= {item.group_key for item in items if (item.split or "").strip().lower() not in _MAY_TEACH}
    return tuple(sorted(item.slide_id for item in items if item.group_key not in apart))
