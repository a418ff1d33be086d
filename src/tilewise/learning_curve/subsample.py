"""The same folds with fewer slides to learn from; test parts stay whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tilewise.folds import Fold, FoldItem, Folds
from tilewise.folds.groups import GroupTable

_FEWEST_GROUPS = 2


def with_fewer(folds: Folds, share: float, *, seed: int) -> Folds:
    """Leave out groups of every train and validation part, class by class.

    Smaller shares of one seed are parts of larger ones, so that their scores differ by the number of slides alone. A
    class keeps two groups in each part where it has them.

    Args:
        folds: of a run.
        share: of the groups that stay, above 0 and up to 1.
        seed: which ones.
    """
    items = {item.slide_id: item for item in folds.items}
    fewer = []
    for number, fold in enumerate(folds.folds):
        rng = np.random.default_rng((seed, number))
        parts = [_some([items[name] for name in part], share, rng) for part in (fold.train, fold.validation)]
        fewer.append(Fold(parts[0], parts[1], fold.test))
    note = f"{share:.0%} of the groups of train and validation parts are left, for a learning curve"
    return replace(folds, folds=tuple(fewer), notes=(*folds.notes, note))


def num_learnt(folds: Folds) -> float:
    """Slides that a fold learns from and stops by, mean over folds."""
    return float(np.mean([len(fold.train) + len(fold.validation) for fold in folds.folds]))


def _some(part: Sequence[FoldItem], share: float, rng: np.random.Generator) -> tuple[str, ...]:
    by_class: dict[str, list[tuple[FoldItem, ...]]] = {}
    for group in GroupTable.of(part).members:
        by_class.setdefault(str(group[0].label), []).append(group)
    chosen: list[str] = []
    for label in sorted(by_class):
        groups = by_class[label]
        num = max(min(_FEWEST_GROUPS, len(groups)), math.ceil(round(share * len(groups), 9)))
        chosen += [item.slide_id for index in rng.permutation(len(groups))[:num] for item in groups[index]]
    return tuple(sorted(chosen))
