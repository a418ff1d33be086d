"""Tiles around pixels of the mask that are drawn at random."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tilewise.store import digest_config
from tilewise.tiles.window import Boxes, Frame, Mask, Ratios, covered_by, covered_table
from tilewise.units import Size

_DRAWN_AT_ONCE = 256
# Rounds of drawing before every pixel of the mask is tried instead.
_MOST_ROUNDS = 16
_ROWS_AT_ONCE = 64


def view_generator(seed: int, slide: str, epoch: int) -> np.random.Generator:
    """The generator of one slide's views in one epoch; `slide` is what tells it from others, a digest of its pixels."""
    return np.random.default_rng(int(digest_config(["random_views", seed, slide, epoch])[:16], 16))


def random_view_tiles(
    mask: Mask,
    size_l0: int,
    *,
    num: int,
    min_ratio: float,
    generator: np.random.Generator,
    frame: Frame | None = None,
) -> tuple[Boxes, Ratios]:
    """Draw pixels of the mask and cut a tile around each; every pixel whose tile holds enough mask is as likely.

    Tiles that would leave the slide are moved inside. Fewer come out only where there are no more different ones.

    Args:
        mask: bool (H, W).
        size_l0: side of a tile, in level-0 pixels.
        num: tiles wanted. The first of many are the same as few.
        min_ratio: smallest share of a tile that the mask covers.
        generator: what draws.
        frame: how the mask lies on the slide; None where it is as large. Around a pixel of a smaller mask, a tile is
            drawn at random.

    Returns:
        Boxes, int64 (N, 4) as x, y, width, height, as they were drawn, no two equal; and the share of each that the
        mask covers.
    """
    frame = frame or Frame.of_mask(mask)
    table = covered_table(mask)
    ratio_of_box: dict[tuple[int, ...], float] = {}
    for rows, columns in _drawn(mask, generator, frame):
        boxes = _boxes_around(rows, columns, size_l0, frame.size)
        ratios = covered_by(table, boxes, frame)
        good = ratios >= min_ratio
        for box, ratio in zip(boxes[good].tolist(), ratios[good].tolist(), strict=True):
            ratio_of_box.setdefault(tuple(box), ratio)
            if len(ratio_of_box) == num:
                return _as_arrays(ratio_of_box)
    # Rare, or exhausted: all of them, in an order drawn at random.
    every = list(_all_tiles(mask, table, size_l0, min_ratio, frame))
    if every:
        boxes = np.unique(np.concatenate(every), axis=0)
        boxes = boxes[generator.permutation(len(boxes))]
        for box, ratio in zip(boxes.tolist(), covered_by(table, boxes, frame).tolist(), strict=True):
            if len(ratio_of_box) == num:
                break
            ratio_of_box.setdefault(tuple(box), ratio)
    return _as_arrays(ratio_of_box)


def _drawn(
    mask: Mask, generator: np.random.Generator, frame: Frame
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Rows and columns of level-0 pixels in the mask, drawn with replacement."""
    counts = np.count_nonzero(mask, axis=1)
    ends = np.cumsum(counts)
    for _ in range(_MOST_ROUNDS if ends[-1] else 0):
        ranks = generator.integers(0, ends[-1], _DRAWN_AT_ONCE)
        rows = np.searchsorted(ends, ranks, side="right")
        within = ranks - (ends[rows] - counts[rows])
        columns = np.empty_like(rows)
        for row in np.unique(rows):
            here = rows == row
            columns[here] = np.flatnonzero(mask[row])[within[here]]
        if frame.factor > 1:
            rows, columns = (
                frame.factor * places + generator.integers(0, frame.factor, len(places)) for places in (rows, columns)
            )
        yield rows.astype(np.int64), columns.astype(np.int64)


def _all_tiles(
    mask: Mask, table: npt.NDArray[np.int32], size_l0: int, min_ratio: float, frame: Frame
) -> Iterator[Boxes]:
    middle = frame.factor // 2
    for start in range(0, len(mask), _ROWS_AT_ONCE):
        rows, columns = np.nonzero(mask[start : start + _ROWS_AT_ONCE])
        rows, columns = frame.factor * (rows + start) + middle, frame.factor * columns + middle
        boxes = np.unique(_boxes_around(rows, columns, size_l0, frame.size), axis=0)
        yield boxes[covered_by(table, boxes, frame) >= min_ratio]


def _boxes_around(rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], size_l0: int, size: Size) -> Boxes:
    tile = Size(min(size_l0, size.width), min(size_l0, size.height))
    boxes = np.empty((len(rows), 4), dtype=np.int64)
    boxes[:, 0] = np.clip(columns - size_l0 // 2, 0, size.width - tile.width)
    boxes[:, 1] = np.clip(rows - size_l0 // 2, 0, size.height - tile.height)
    boxes[:, 2:] = tile
    return boxes


def _as_arrays(ratio_of_box: dict[tuple[int, ...], float]) -> tuple[Boxes, Ratios]:
    return np.array(list(ratio_of_box), dtype=np.int64).reshape(-1, 4), np.array(
        list(ratio_of_box.values()), dtype=np.float64
    )
