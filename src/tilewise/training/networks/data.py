"""What a network on pixels learns from: tiles of slides with labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tilewise.errors import TrainingError
from tilewise.inference.slide_tiles import Pixels, SlideTiles, TileSource
from tilewise.models.networks import TileBatch
from tilewise.training.data import PartData


class Tiles(Protocol):
    """Slide -> its decoded tiles: a `TileStore`, or a mapping."""

    def __getitem__(self, slide_id: str, /) -> SlideTiles: ...


@dataclass(frozen=True)
class Redraw:
    """What the views of a train part are drawn anew from.

    Attributes:
        sources: of its slides, in their order.
        epochs: that learn from the same views.
        cache_megabytes: of one draw in memory; the slides beyond lie in files for as long as it is in use.
    """

    sources: tuple[TileSource, ...]
    epochs: int
    cache_megabytes: float

    def in_memory(self) -> list[bool]:
        """Which slides stay in memory: in their order, each that still fits."""
        left, fits = self.cache_megabytes * 1e6, []
        for source in self.sources:
            fits.append(source.num_bytes <= left)
            left -= source.num_bytes * fits[-1]
        return fits


@dataclass(frozen=True)
class TilePart:
    """All tiles of one part of a fold.

    Attributes:
        slide_data: slides, their labels and each tile's slide; its features are empty.
        tiles: of each slide, in the order of the slides; composed ones after them.
        place_N: which of its slide's tiles each tile is, int64.
        tiles_index_N: which of `tiles` each tile is found in; None where that is its slide's place.
        redraw: what random views are drawn anew from while a network learns; None where tiles stay the same.
    """

    slide_data: PartData
    tiles: tuple[SlideTiles, ...]
    place_N: NDArray[np.int64]
    tiles_index_N: NDArray[np.int64] | None = None
    redraw: Redraw | None = None

    @classmethod
    def of(cls, tiles: Tiles, slide_ids: Iterable[str], labels: Mapping[str, int]) -> TilePart:
        """The tiles of some slides.

        Args:
            tiles: of these slides, at least.
            slide_ids: the part.
            labels: slide -> class index.

        Raises:
            TrainingError: a slide has no tile.
        """
        names = tuple(slide_ids)
        slide_tiles = tuple(tiles[name] for name in names)
        places = [np.arange(len(one)) for one in slide_tiles]
        for name, own in zip(names, places, strict=True):
            if not len(own):
                raise TrainingError(f"slide {name} has no tile to learn from; drop it in decisions.csv")
        slide_N = np.repeat(np.arange(len(names), dtype=np.int64), [len(own) for own in places])
        slide_data = PartData(
            names,
            np.array([labels[name] for name in names], dtype=np.int64),
            np.empty((len(slide_N), 0), dtype=np.float32),
            slide_N,
        )
        return cls(slide_data, slide_tiles, np.concatenate([np.empty(0, dtype=np.int64), *places]))

    def __len__(self) -> int:
        """N."""
        return len(self.place_N)

    def batch(self, chosen: NDArray[np.int64]) -> TileBatch:
        """Some tiles with what belongs to them, uint8, in new memory."""
        tiles_index_N = self.slide_data.tile_slide_N if self.tiles_index_N is None else self.tiles_index_N
        where = [(self.tiles[tiles_index_N[index]], int(self.place_N[index])) for index in chosen]
        first = self.tiles[0]
        images = _joined([tiles.images_TSCHW[place] for tiles, place in where])
        masks = wides = None
        if first.masks_THW is not None:
            masks = _joined([tiles.masks_THW[place] for tiles, place in where if tiles.masks_THW is not None])
        if first.wide_CHW is not None:
            wides = _joined([tiles.wide_CHW for tiles, _ in where if tiles.wide_CHW is not None])
        return TileBatch(images, masks, wides)


@dataclass(frozen=True)
class PixelData:
    """The two parts of a fold that training sees; `validation` may hold no slide.

    Raises:
        TrainingError: the train part holds fewer than two classes.
    """

    classes: tuple[str, ...]
    train: TilePart
    validation: TilePart

    def __post_init__(self) -> None:
        present = np.unique(self.train.slide_data.labels_S).tolist()
        if len(present) < 2:
            named = ", ".join(self.classes[index] for index in present) or "no class"
            raise TrainingError(f"the train part holds {named} only; make the folds again with --set folds.num_folds=3")


def _joined(pieces: list[Pixels]) -> torch.Tensor:
    joined = np.empty((len(pieces), *pieces[0].shape), dtype=np.uint8)
    for index, piece in enumerate(pieces):
        joined[index] = piece
    return torch.from_numpy(joined)
