"""Which slides a model is sure enough of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tilewise.training_config.pseudo import PseudoConfig


@dataclass(frozen=True)
class PseudoLabel:
    """The class that a slide was given by a model.

    Attributes:
        slide: without a label of its own.
        label: the model's likeliest class.
        probability: of that class, by the model of the round.
        round: in which the slide joined the train part, from 1.
    """

    slide: str
    label: str
    probability: float
    round: int


def choose(
    probabilities: Mapping[str, npt.NDArray[np.float64]],
    classes: Sequence[str],
    config: PseudoConfig,
    *,
    labelled: Mapping[str, int],
    before: Sequence[PseudoLabel] = (),
) -> tuple[PseudoLabel, ...]:
    """The slides that join in this round, by name.

    Of each class the surest come first; of equally sure ones the first by name.

    Args:
        probabilities: slide -> what the model says of it, (C,).
        classes: in the order of the probabilities.
        config: how sure is sure enough, and how many may join.
        labelled: class -> slides of the train part that have it as their own label.
        before: what joined in earlier rounds.
    """
    joined, number = Counter(one.label for one in before), max((one.round for one in before), default=0) + 1
    sure = []
    for slide, probability_C in probabilities.items():
        place = int(np.argmax(probability_C))
        if probability_C[place] >= config.threshold:
            sure.append(PseudoLabel(slide, classes[place], float(probability_C[place]), number))
    chosen: list[PseudoLabel] = []
    for label in classes:
        of_class = sorted((one for one in sure if one.label == label), key=lambda one: (-one.probability, one.slide))
        chosen += of_class[: _room(label, config, labelled, joined[label])]
    return tuple(sorted(chosen, key=lambda one: one.slide))


def _room(label: str, config: PseudoConfig, labelled: Mapping[str, int], joined: int) -> int | None:
    """How many more slides may join a class; None is any number."""
    bounds = []
    if config.most_per_class is not None:
        bounds.append(config.most_per_class)
    if config.balance:
        bounds.append(max(labelled.values()) - labelled.get(label, 0))
    return max(0, min(bounds) - joined) if bounds else None
