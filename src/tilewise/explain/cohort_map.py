"""The slides of a run in the space of their features: a map, and each slide's nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NUM_NEIGHBOURS = 5
_COMPONENTS = 50
_FEWEST, _MOST = 12, 2000  # slides that t-SNE is used for


@dataclass(frozen=True)
class MappedSlide:
    """One slide out of fold.

    Attributes:
        name: of the slide.
        label: its class in the table.
        predicted: the class that the model of its fold predicted.
        label_probability: what that model gave the label.
        group: slides of one group are no neighbours.
    """

    name: str
    label: str
    predicted: str
    label_probability: float
    group: str

    @property
    def is_right(self) -> bool:
        """Whether prediction and label agree."""
        return self.label == self.predicted

    @property
    def loss(self) -> float:
        """Log loss."""
        return float(-np.log(max(self.label_probability, 1e-15)))


@dataclass(frozen=True)
class CohortMap:
    """Where slides lie among each other.

    Attributes:
        slides: S slides.
        places_S2: float64, each axis from 0 to 1.
        method: `t-SNE` or `PCA`.
        neighbours: slide -> its nearest ones of other groups, nearest first.
    """

    slides: tuple[MappedSlide, ...]
    places_S2: Floats
    method: str
    neighbours: Mapping[str, tuple[MappedSlide, ...]]

    def num_agreeing(self, slide: MappedSlide) -> int:
        """Neighbours with the label of a slide."""
        return sum(other.label == slide.label for other in self.neighbours[slide.name])

    def disagreeing(self) -> list[MappedSlide]:
        """Slides with at most one neighbour of their own label, those of highest loss first."""
        return sorted((one for one in self.slides if self.num_agreeing(one) <= 1), key=lambda one: -one.loss)

    def costliest(self) -> list[MappedSlide]:
        """Slides that were predicted wrong, highest loss first."""
        return sorted((one for one in self.slides if not one.is_right), key=lambda one: -one.loss)


def map_cohort(slides: Sequence[MappedSlide], vectors: Mapping[str, npt.NDArray[np.floating]]) -> CohortMap:
    """Lay slides out by the mean of their tiles' features; labels have no part in it.

    Features are standardised over the slides and reduced to at most 50 principal components. Neighbours are the nearest
    in these (Euclidean). The map is t-SNE (van der Maaten and Hinton, JMLR 2008) of them, started from the first two;
    these two themselves for fewer than 12 slides or more than 2,000. The same vectors give the same map.

    Args:
        slides: S slides.
        vectors: slide -> float (D,).
    """
    vectors_SD = np.stack([vectors[one.name] for one in slides]).astype(np.float64)
    spread_D = vectors_SD.std(axis=0)
    standardised_SD = (vectors_SD - vectors_SD.mean(axis=0)) / np.where(spread_D > 0, spread_D, 1.0)
    left_SK, sizes_K, _ = np.linalg.svd(standardised_SD, full_matrices=False)
    components_SK = left_SK[:, :_COMPONENTS] * sizes_K[:_COMPONENTS]
    # Signs of components are arbitrary; the largest entry of each is made positive.
    largest_K = components_SK[np.abs(components_SK).argmax(axis=0), np.arange(components_SK.shape[1])]
    components_SK *= np.where(largest_K < 0, -1.0, 1.0)
    method, places_S2 = "PCA", components_SK[:, :2]
    if places_S2.shape[1] < 2:
        places_S2 = np.column_stack([places_S2, np.zeros(len(slides))])
    if _FEWEST <= len(slides) <= _MOST:
        method, places_S2 = "t-SNE", _tsne(components_SK)
    extent_2 = np.ptp(places_S2, axis=0)
    places_S2 = (places_S2 - places_S2.min(axis=0)) / np.where(extent_2 > 0, extent_2, 1.0)
    return CohortMap(tuple(slides), places_S2, method, _neighbours(slides, components_SK))


def _tsne(components_SK: Floats) -> Floats:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(30.0, (len(components_SK) - 1) / 3.0)
    with threadpool_limits(1):  # sums of several threads are rounded otherwise in every run
        places: Floats = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(components_SK)
    return places.astype(np.float64)


def _neighbours(slides: Sequence[MappedSlide], components_SK: Floats) -> dict[str, tuple[MappedSlide, ...]]:
    squares_S = (components_SK**2).sum(axis=1)
    groups = np.array([one.group for one in slides])
    neighbours = {}
    for place, slide in enumerate(slides):
        distances_S = squares_S - 2.0 * components_SK @ components_SK[place]
        distances_S[groups == slide.group] = np.inf
        nearest = np.argsort(distances_S, kind="stable")[:NUM_NEIGHBOURS]
        neighbours[slide.name] = tuple(slides[other] for other in nearest if np.isfinite(distances_S[other]))
    return neighbours
