"""Tiles of one slide, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tilewise.tiles.window import Boxes, Ratios
from tilewise.units import Box


@dataclass(frozen=True)
class TileRows:
    """Tiles of one slide. Arrays of one length; the fields of one place stand together, in the order of the scales.

    A tile covers its `field`, a rectangle that may reach beyond the slide; `boxes` is the part of it that shows the
    slide. The field is scaled to the tile's square, and what is not the box is filled as `padding` says.

    Attributes:
        boxes: int64 (N, 4) as x, y, width, height in level-0 pixels, inside the slide.
        fields: int64 (N, 4), likewise; equal to the box where nothing is filled.
        ratios: float64 (N,), share of the box that the region covers.
        strategy: object (N,), which strategy found it.
        region: object (N,), what it was cut by: `mask`, `tissue` or `slide`.
        padding: object (N,), `pad`, `reflect`, or empty where nothing is filled.
        place: int64 (N,), from 0; fields of different scales around one centre share it.
        scale: int64 (N,), index into `field_scales`.
    """

    boxes: Boxes
    fields: Boxes
    ratios: Ratios
    strategy: npt.NDArray[np.object_]
    region: npt.NDArray[np.object_]
    padding: npt.NDArray[np.object_]
    place: npt.NDArray[np.int64]
    scale: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, chosen: slice | npt.NDArray[Any]) -> Self:
        """Some of the rows, by a slice, a mask or an index array."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @classmethod
    def of_boxes(cls, boxes: Boxes, ratios: Ratios, *, strategy: str, region: str) -> Self:
        """Tiles whose field is their box, one place each."""
        num = len(boxes)
        return cls(
            boxes=boxes,
            fields=boxes,
            ratios=ratios,
            strategy=np.full(num, strategy, dtype=object),
            region=np.full(num, region, dtype=object),
            padding=np.full(num, "", dtype=object),
            place=np.arange(num),
            scale=np.zeros(num, dtype=np.int64),
        )

    @classmethod
    def none(cls) -> Self:
        """No tile."""
        return cls.of_boxes(np.empty((0, 4), np.int64), np.empty(0), strategy="", region="")

    @classmethod
    def join(cls, parts: Sequence[TileRows]) -> Self:
        """All rows of several; places are numbered on."""
        if not parts:
            return cls.none()
        columns = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)}
        starts = np.cumsum([0, *(part.num_places for part in parts[:-1])])
        columns["place"] = np.concatenate([part.place + start for part, start in zip(parts, starts, strict=True)])
        return cls(**columns)

    @property
    def num_places(self) -> int:
        """Number of centres; the number of rows where there is one field around each."""
        return int(self.place.max()) + 1 if len(self) else 0

    def keep_places(self, chosen: npt.NDArray[np.bool_]) -> Self:
        """Rows of the places marked in bool (num_places,), numbered again from 0."""
        rows = self[chosen[self.place]]
        numbers = np.cumsum(chosen) - 1
        columns = {field.name: getattr(rows, field.name) for field in fields(self)}
        return type(self)(**(columns | {"place": numbers[rows.place]}))

    def box(self, index: int) -> Box:
        """The box of one row."""
        return Box(*self.boxes[index].tolist())
