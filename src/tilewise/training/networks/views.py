"""Random views of a train part that are drawn anew while a network learns from them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from tilewise.inference.slide_tiles import SlideTiles, TileSource
from tilewise.store import room_in
from tilewise.training.networks.data import Redraw, TilePart

WORKDIR = "together-"  # folders of what is in use during a training begin so


class DrawnViews:
    """The train part of each epoch.

    The views of an epoch follow from the slide's pixels, `tiles.random_views_seed` and the epoch alone, so that a
    training that was stopped sees what it would have seen. Slides are decoded again for each draw, in threads, one draw
    ahead: no more than two draws are held. The number of tiles of a slide stays what it was, and tiles that were
    composed stay as they are.

    Args:
        part: with the first views; without a `redraw` they are those of every epoch.
        num_epochs: of the training.
        folder: where files lie that do not fit into memory; None takes the system's.
        num_threads: that decode.
    """

    def __init__(self, part: TilePart, *, num_epochs: int, folder: Path | None, num_threads: int) -> None:
        self._first, self._part, self._draw = part, part, 0
        self._num_epochs, self._folder = num_epochs, folder
        self._pool = ThreadPoolExecutor(num_threads)
        self._ahead: dict[int, list[Future[SlideTiles]]] = {}
        self._workdirs: dict[int, Path] = {}

    def part(self, epoch: int) -> TilePart:
        """The train part of an epoch, from 0.

        Raises:
            SlideError: a slide or its mask can no longer be read.
        """
        redraw = self._first.redraw
        if redraw is None:
            return self._first
        draw = epoch // redraw.epochs
        if draw != self._draw:
            tiles = [future.result() for future in self._ahead.pop(draw, None) or self._started(redraw, draw)]
            self._part, self._draw = with_tiles(self._first, tiles), draw
            self._leave(draw)
        if draw + 1 not in self._ahead and (draw + 1) * redraw.epochs < self._num_epochs:
            self._ahead[draw + 1] = self._started(redraw, draw + 1)
        return self._part

    def close(self) -> None:
        """End the threads and remove the files."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._ahead.clear()
        self._part = self._first
        self._leave(None)

    def _started(self, redraw: Redraw, draw: int) -> list[Future[SlideTiles]]:
        in_memory, workdir = redraw.in_memory(), None
        if not all(in_memory):
            workdir = self._workdirs[draw] = Path(tempfile.mkdtemp(prefix=WORKDIR, dir=self._folder))
        folders = [None if fits or workdir is None else workdir / str(number) for number, fits in enumerate(in_memory)]
        return [
            self._pool.submit(_decoded, source, draw, own) for source, own in zip(redraw.sources, folders, strict=True)
        ]

    def _leave(self, draw: int | None) -> None:
        """Remove the files of other draws."""
        for other in [other for other in self._workdirs if other != draw]:
            shutil.rmtree(self._workdirs.pop(other), ignore_errors=True)


def with_tiles(part: TilePart, tiles: Sequence[SlideTiles]) -> TilePart:
    """The part with other tiles of its slides; where a slide has fewer of them, some stand for two."""
    tiles_index_N = part.slide_data.tile_slide_N if part.tiles_index_N is None else part.tiles_index_N
    place_N, own_N = part.place_N.copy(), tiles_index_N < len(tiles)
    place_N[own_N] %= np.array([len(one) for one in tiles], dtype=np.int64)[tiles_index_N[own_N]]
    return replace(part, tiles=(*tiles, *part.tiles[len(tiles) :]), place_N=place_N)


def _decoded(source: TileSource, draw: int, folder: Path | None) -> SlideTiles:
    tiles = source.redrawn(draw).decode()
    if folder is None:
        return tiles
    folder.mkdir()
    arrays = {"images_TSCHW": tiles.images_TSCHW, "masks_THW": tiles.masks_THW, "wide_CHW": tiles.wide_CHW}
    mapped = {}
    for name, array in arrays.items():
        if array is not None:
            with room_in(folder):
                np.save(folder / f"{name}.npy", array)
            mapped[name] = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    return replace(tiles, **mapped)


def remove_workdirs(folder: Path) -> None:
    """Remove what a training that was killed has left in use."""
    for path in folder.glob(f"{WORKDIR}*"):
        shutil.rmtree(path, ignore_errors=True)
