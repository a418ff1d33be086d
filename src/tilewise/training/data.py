"""What a head learns from: tiles of slides with labels, checked at the door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tilewise.errors import TrainingError
from tilewise.models.aggregate_tiles import mask_ratios
from tilewise.models.config import Statistic
from tilewise.models.slide_vectors import slide_vectors


@dataclass(frozen=True)
class PartData:
    """All tiles of one part of a fold.

    Attributes:
        slide_ids: S slides.
        labels_S: class index of each slide, int64.
        features_ND: all their tiles, float32.
        tile_slide_N: position of each tile's slide, int64.
        context_SE: what stands beside the tiles of each slide (`features.context`); None where nothing does.
        placements_NP: mask ratio and place of each tile (`FeatureBag.placements_NP`); None where they are not known.
    """

    slide_ids: tuple[str, ...]
    labels_S: NDArray[np.int64]
    features_ND: NDArray[np.float32]
    tile_slide_N: NDArray[np.int64]
    context_SE: NDArray[np.float32] | None = None
    placements_NP: NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls,
        bags: Mapping[str, NDArray[np.float32]],
        labels: Mapping[str, int],
        context: Sequence[NDArray[np.float32]] = (),
    ) -> PartData:
        """Join the features of several slides, in the order of `bags`; and what stands beside them, in that order.

        Raises:
            TrainingError: a slide has no tile, a feature that is not finite, or features of another length.
        """
        if not bags:
            empty = np.empty(0, dtype=np.int64)
            return cls((), empty, np.empty((0, 0), dtype=np.float32), empty)
        num_features = next(iter(bags.values())).shape[-1]
        for slide_id, features_ND in bags.items():
            _check(slide_id, features_ND, num_features)
        return cls(
            tuple(bags),
            np.array([labels[slide_id] for slide_id in bags], dtype=np.int64),
            np.concatenate(list(bags.values())).astype(np.float32, copy=False),
            np.repeat(np.arange(len(bags), dtype=np.int64), [len(features) for features in bags.values()]),
            np.stack(context) if len(context) else None,
        )

    def of_slides(self, statistics: Sequence[Statistic]) -> PartData:
        """The slides' vectors, and what stands beside the tiles, in place of the tiles; see `slide_vectors`."""
        if not self.num_slides:
            return self
        vectors_SD = slide_vectors(self.features_ND, self.tile_slide_N, self.num_slides, statistics=statistics)
        if self.context_SE is not None:
            vectors_SD = np.concatenate([vectors_SD, self.context_SE], axis=1)
        tile_slide_N = np.arange(self.num_slides)
        return replace(
            self,
            features_ND=vectors_SD.astype(np.float32),
            tile_slide_N=tile_slide_N,
            context_SE=None,
            placements_NP=None,
        )

    def chosen(self, slides: Sequence[int] | NDArray[np.int64]) -> PartData:
        """Some of the slides, in this order, of a part with one vector per slide."""
        return PartData(
            tuple(self.slide_ids[slide] for slide in slides),
            self.labels_S[slides],
            self.features_ND[slides],
            np.arange(len(slides)),
        )

    def joined(self, other: PartData) -> PartData:
        """The slides of both, of parts with one vector per slide."""
        return PartData(
            (*self.slide_ids, *other.slide_ids),
            np.concatenate([self.labels_S, other.labels_S]),
            np.concatenate([self.features_ND, other.features_ND]),
            np.arange(self.num_slides + other.num_slides),
        )

    @property
    def num_slides(self) -> int:
        """S."""
        return len(self.slide_ids)

    @property
    def num_tiles_S(self) -> NDArray[np.int64]:  # noqa: N802 - carries its axis
        """Tiles of each slide."""
        return np.bincount(self.tile_slide_N, minlength=self.num_slides)

    @property
    def mask_ratios_N(self) -> NDArray[np.float64] | None:  # noqa: N802 - carries its axis
        """Share of each tile that the mask covers; None where it is not known."""
        return None if self.placements_NP is None else mask_ratios(self.placements_NP)

    def name_slides(self, tiles: NDArray[np.int64], limit: int = 5) -> str:
        """The slides these tiles are of, for a message."""
        names = [self.slide_ids[index] for index in np.unique(self.tile_slide_N[tiles])]
        return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


@dataclass(frozen=True)
class FeatureData:
    """The two parts of a fold that training sees; `validation` may hold no slide.

    Attributes:
        classes: in the order of class indices.
        train: what is learnt from.
        validation: what stops training.
        groups: slide -> what must not be parted; a slide that is not in it is a group of its own.

    Raises:
        TrainingError: the train part holds fewer than two classes, or the parts differ in the length of features.
    """

    classes: tuple[str, ...]
    train: PartData
    validation: PartData
    groups: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        present: Sequence[int] = np.unique(self.train.labels_S).tolist()
        if len(present) < 2:
            named = ", ".join(self.classes[index] for index in present) or "no class"
            raise TrainingError(f"the train part holds {named} only; make the folds again with --set folds.num_folds=3")
        lengths = {part.features_ND.shape[1] for part in (self.train, self.validation) if part.num_slides}
        if len(lengths) > 1:
            raise TrainingError(f"train and validation have features of lengths {sorted(lengths)}; extract them again")

    def of_slides(self, statistics: Sequence[Statistic]) -> FeatureData:
        """One vector per slide in place of tiles, in both parts."""
        return replace(self, train=self.train.of_slides(statistics), validation=self.validation.of_slides(statistics))


def _check(slide_id: str, features_ND: NDArray[np.float32], num_features: int) -> None:
    again = "extract its features again, or drop the slide in decisions.csv"
    if features_ND.ndim != 2 or len(features_ND) == 0:
        raise TrainingError(f"slide {slide_id} has no tile to learn from (features {features_ND.shape}); {again}")
    if features_ND.shape[1] != num_features:
        raise TrainingError(
            f"slide {slide_id} has features of length {features_ND.shape[1]}, others have {num_features}; {again}"
        )
    epoch_loss = ~np.isfinite(features_ND)
    if epoch_loss.any():
        tile, feature = np.argwhere(epoch_loss)[0]
        raise TrainingError(f"slide {slide_id}: feature {feature} of tile {tile} is not finite; {again}")
