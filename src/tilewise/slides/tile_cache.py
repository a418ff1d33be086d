"""Regions of a level that is stored in tiles: each tile is decoded once for the regions around it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import numpy as np

from tilewise.slides.samples import RGB
from tilewise.units import Box, Size

CACHE_BYTES: Final = 64 * 1024 * 1024
"""Decoded tiles that a reader keeps, in bytes."""


class TileCache:
    """Decoded tiles; the least recently used go first.

    Args:
        decode: level, row and column of a tile -> its pixels, uint8 (height, width, 3); those at the far edges may be
            cut off where the level ends.
        num_bytes: tiles that are kept for the next region, in bytes.
    """

    def __init__(self, decode: Callable[[int, int, int], RGB], num_bytes: int = CACHE_BYTES) -> None:
        self._decode = decode
        self._tiles: OrderedDict[tuple[int, int, int], RGB] = OrderedDict()
        self._free_bytes = num_bytes

    def read(self, level: int, box: Box, tile_size: Size) -> RGB:
        """Pixels of a box inside a level whose tiles have this size; a new uint8 (height, width, 3)."""
        width, height = tile_size
        region = np.empty((box.height, box.width, 3), dtype=np.uint8)
        for row in range(box.y // height, (box.bottom - 1) // height + 1):
            top, bottom = max(box.y, row * height), min(box.bottom, (row + 1) * height)
            for column in range(box.x // width, (box.right - 1) // width + 1):
                left, right = max(box.x, column * width), min(box.right, (column + 1) * width)
                tile = self._tile(level, row, column)
                part = tile[top - row * height : bottom - row * height, left - column * width : right - column * width]
                region[top - box.y : bottom - box.y, left - box.x : right - box.x] = part
        return region

    def clear(self) -> None:
        """Let go of all tiles."""
        self._tiles.clear()

    def _tile(self, *place: int) -> RGB:
        level, row, column = key = (place[0], place[1], place[2])
        tile = self._tiles.get(key)
        if tile is not None:
            self._tiles.move_to_end(key)
            return tile
        tile = self._decode(level, row, column)
        self._tiles[key] = tile
        self._free_bytes -= tile.nbytes
        while self._free_bytes < 0:
            self._free_bytes += self._tiles.popitem(last=False)[1].nbytes
        return tile
