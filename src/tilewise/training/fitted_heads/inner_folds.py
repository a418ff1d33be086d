"""Folds inside a train part, by group, to choose what cannot be chosen on slides that were learnt from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilewise.folds.groups import GroupTable
from tilewise.folds.parts import FoldItem
from tilewise.training.data import PartData
from tilewise.training.fitted_heads.linear import Floats, Linear

Positions = NDArray[np.int64]
Fit = Callable[[Floats, NDArray[np.int64], Floats], Iterable[Linear]]

NUM_FOLDS = 5


@dataclass(frozen=True)
class FitData:
    """What a head is fitted to.

    Attributes:
        part: slides of the classes 0 .. C - 1, each of which occurs.
        vectors_SD: of the slides, standardised; every feature varies.
        class_weights_C: of the classes in the loss.
        groups: of the slides; None is a group of its own.
        seed: which groups come together in the inner folds.
    """

    part: PartData
    vectors_SD: Floats
    class_weights_C: Floats
    groups: Sequence[str | None]
    seed: int

    @property
    def priors_C(self) -> Floats:  # noqa: N802 - carries its axis
        """Slides of each class times its weight, summing to 1."""
        return priors(self.part.labels_S, self.class_weights_C)

    def inner_logits(self, fit: Fit) -> tuple[PartData, list[Floats]]:
        """Logits of slides by fits that did not know them, of all inner folds together.

        Args:
            fit: vectors, labels 0 .. K - 1 and weights of the K classes among them in; one or more linear functions
                out, the same number each time.

        Returns:
            The slides that could be scored, and their logits (S, C) by each linear function; nothing where no slide
            could be.
        """
        num_classes = len(self.class_weights_C)
        folds = inner_folds(self.part.labels_S, self.groups, seed=self.seed)
        by_fold = []
        for train, test in folds:
            present, labels_S = np.unique(self.part.labels_S[train], return_inverse=True)
            linears = fit(self.vectors_SD[train], labels_S, self.class_weights_C[present])
            vectors_SD = self.vectors_SD[test]
            by_fold.append([linear.with_absent(present, num_classes).logits(vectors_SD) for linear in linears])
        scored = np.concatenate([test for _, test in folds]) if folds else np.empty(0, dtype=np.int64)
        return self.part.chosen(scored), [np.concatenate(logits) for logits in zip(*by_fold, strict=True)]


def priors(labels_S: NDArray[np.int64], class_weights_C: Floats) -> Floats:
    """Slides of each class times its weight, summing to 1."""
    totals_C = np.bincount(labels_S, minlength=len(class_weights_C)) * class_weights_C
    priors_C: Floats = totals_C / totals_C.sum()
    return priors_C


def inner_folds(
    labels_S: NDArray[np.int64], groups: Sequence[str | None], *, seed: int
) -> list[tuple[Positions, Positions]]:
    """Positions of the slides that each inner fold learns from, and of those that it is scored on.

    No group is in both. A group that is the only one of a class is always learnt from and never scored, and no other
    class is scored whole in one fold: of a class that was not learnt nothing can be said.

    Args:
        labels_S: classes of the slides.
        groups: of the slides; None is a group of its own.
        seed: which groups come together.

    Returns:
        At most `NUM_FOLDS` folds; none where fewer than two classes have a group that can be scored.
    """
    items = [
        FoldItem(f"{position:08d}", str(label), group)
        for position, (label, group) in enumerate(zip(labels_S.tolist(), groups, strict=True))
    ]
    scored = _scored(GroupTable.of(items))
    if scored.num_groups < 2 or len(scored.classes) < 2:
        return []
    num = min(NUM_FOLDS, scored.num_groups)
    rule = scored.rule(1.0 / num, least=1, least_in_all=1, priority=0, spare=1)
    folds = []
    for part in scored.split((rule,) * num, seed=(seed,)):
        test = np.array([int(name) for name in part.slide_ids], dtype=np.int64)
        train = np.setdiff1d(np.arange(len(items)), test)
        if len(test) and len(np.unique(labels_S[train])) > 1:
            folds.append((train, test))
    return folds


def _scored(table: GroupTable) -> GroupTable:
    """The groups without those that are the only one of a class."""
    alone = {name for name, num in zip(table.classes, table.groups_per_class, strict=True) if num == 1}
    return GroupTable(tuple(group for group in table.members if not any(str(item.label) in alone for item in group)))
