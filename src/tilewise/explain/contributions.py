"""What features with names add to the score of a class, of heads that are linear in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tilewise.encoders.texture import feature_names
from tilewise.extraction.bag import FeatureBag
from tilewise.models import FoldModel
from tilewise.models.config import Statistic
from tilewise.models.slide_vectors import slide_vectors

_LINEAR = frozenset({"linear", "lda", "logistic"})
_NAMED: dict[Statistic, str] = {"mean": "", "deviation": " (spread over tiles)", "max": " (highest tile)"}


@dataclass(frozen=True)
class Contributions:
    """What each feature adds to the logit of a class, over the mean of the other classes.

    A feature that is as in the mean of the train part adds nothing, so that all of them together are how far the slide
    lies from there. Features that go together may add and take away the same: groups are steadier.

    Attributes:
        features: name -> what it adds, those of largest size first.
        groups: block of features -> the sum over its features, largest size first.
        total: over all features.
    """

    features: tuple[tuple[str, float], ...]
    groups: tuple[tuple[str, float], ...]
    total: float


def contribute(
    heads: Sequence[FoldModel],
    weights: Sequence[float],
    bags: Sequence[FeatureBag],
    class_index: int,
    *,
    encoder: str,
    most: int = 6,
) -> Contributions | None:
    """What named features add to a slide's logit; None where features have no names or a head is not linear in them.

    Where probabilities of tiles are averaged, it is the mean of what they add to the tiles' logits.

    Args:
        heads: of one classifier.
        weights: of the heads, summing to 1.
        bags: of the slide, one for each head.
        class_index: of the class.
        encoder: its name; features of `texture` have names.
        most: features that are named.
    """
    if encoder != "texture" or not all(_is_linear(head) for head in heads):
        return None
    names = [name + _NAMED[statistic] for statistic in heads[0].head.statistics for name in feature_names()]
    total_D = np.zeros(len(names))
    for head, weight, bag in zip(heads, weights, bags, strict=True):
        total_D += weight * _of_head(head, bag, class_index)[: len(names)]
    blocks = np.array([name.split(".")[0] for name in names])
    groups = {block: float(total_D[blocks == block].sum()) for block in dict.fromkeys(blocks.tolist())}
    strongest = np.argsort(-np.abs(total_D), kind="stable")[:most]
    return Contributions(
        features=tuple((names[place], float(total_D[place])) for place in strongest),
        groups=tuple(sorted(groups.items(), key=lambda item: -abs(item[1]))),
        total=float(total_D.sum()),
    )


def _is_linear(head: FoldModel) -> bool:
    config = head.head
    return config.kind in _LINEAR and config.norm == "none" and not config.attends and not head.num_context


def _of_head(head: FoldModel, bag: FeatureBag, class_index: int) -> npt.NDArray[np.float64]:
    """What each feature adds, float64 (len(statistics) * D,); of several seeds the mean."""
    one_slide = np.zeros(len(bag.features_ND), dtype=np.int64)
    vectors_1D = slide_vectors(bag.features_ND, one_slide, 1, statistics=head.head.statistics)
    standardised_D = head.standardisation.apply(vectors_1D)[0]
    weights_CD = np.mean(
        [array.astype(np.float64) for name, array in head.weights.items() if name.endswith("weight")], axis=0
    )
    others_D = np.delete(weights_CD, class_index, axis=0).mean(axis=0)
    added_D: npt.NDArray[np.float64] = (weights_CD[class_index] - others_D) * standardised_D
    return added_D
