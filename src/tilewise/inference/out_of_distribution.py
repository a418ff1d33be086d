"""What the slides of the training cohort are like, so that one that is unlike them is noticed when it is predicted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from tilewise.extraction.bag import FeatureBag
from tilewise.models import FoldModel

_PERCENT = 1.0  # of the training cohort's slides that lie beyond a bound
# Twice the scale makes four times the tiles; a slide with more tissue seldom has twice those of the largest.
_FAR_MORE = 2


@dataclass(frozen=True)
class ReferenceDistribution:
    """Bounds that all or nearly all slides of the training cohort keep.

    Attributes:
        fewest_tiles: number of tiles that 99 of 100 slides have.
        farthest: that 99 of 100 slides keep within: distance of a slide from the slides a fold's model learnt from
            (`distance`), measured on slides that the model did not know; None where networks take pixels, which have
            no features to measure it by.
        most_tiles: number of tiles of the slide that has the most; None in classifiers of earlier versions.
    """

    fewest_tiles: int
    farthest: float | None = None
    most_tiles: int | None = None

    @classmethod
    def of(cls, num_tiles: Iterable[int], distances: Iterable[float] = ()) -> Self:
        """The bounds of a training cohort.

        Args:
            num_tiles: of each slide.
            distances: of each slide from those its fold's model learnt from, none of which it was itself.
        """
        far, counts = list(distances), list(num_tiles)
        return cls(
            fewest_tiles=int(np.percentile(counts, _PERCENT, method="lower")),
            most_tiles=max(counts),
            farthest=float(np.percentile(far, 100.0 - _PERCENT, method="higher")) if far else None,
        )

    def warnings(self, num_tiles: int, distance: float | None = None) -> list[str]:
        """What is unusual about a slide, in words."""
        sentences = []
        if 0 < num_tiles < self.fewest_tiles:
            sentences.append(
                f"few tiles: {num_tiles}, and 99 of 100 slides of the training cohort have {self.fewest_tiles} or more"
            )
        if self.most_tiles and num_tiles > _FAR_MORE * self.most_tiles:
            sentences.append(
                f"many tiles: {num_tiles}, and no slide of the training cohort has more than {self.most_tiles}: "
                "another magnification? Save it at the scale of the training slides and predict again, or compare with "
                "`tilewise audit NEW --against COHORT --out audit`, which finds copies at another scale too"
            )
        if distance is not None and self.farthest is not None and distance > self.farthest:
            sentences.append(
                f"out of distribution: its tiles lie {distance / self.farthest:.1f} times as far from the training "
                "cohort as 99 of 100 of that cohort's own slides; do not rely on its prediction"
            )
        return sentences

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"fewest_tiles": self.fewest_tiles, "farthest": self.farthest, "most_tiles": self.most_tiles}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The bounds of plain data."""
        farthest, most = data["farthest"], data.get("most_tiles")
        return cls(
            int(data["fewest_tiles"]),
            None if farthest is None else float(farthest),
            None if most is None else int(most),
        )


def distance(model: FoldModel, bag: FeatureBag) -> float:
    """How far a slide lies from the slides a model learnt from.

    The root of the mean square, over features, of the slide's mean feature in standard deviations of the train part's
    tiles; of a head that sees one vector per slide, of that vector in standard deviations of the train part's slides.
    Features that do not vary there are passed over.
    """
    if model.head.takes_slide_vectors:
        features_ND = bag.features_ND
        context_SE = None if bag.context_E is None else bag.context_E[None]
        inputs_ND = model.slide_vectors(features_ND, np.zeros(len(features_ND), np.int64), 1, context_SE)
    else:
        inputs_ND = model.standardisation.apply(bag.features_ND)
    varies_D = model.standardisation.scale_D > 0.0
    if not varies_D.any():
        return 0.0
    mean_D = inputs_ND.mean(axis=0)
    return float(np.sqrt(np.square(mean_D[varies_D]).mean()))
