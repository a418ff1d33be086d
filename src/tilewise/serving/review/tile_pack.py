"""A flat slide as JPEG tiles at every halving of its size, in one file of the cache: to serve a tile is to read it.

The file is its tiles one behind the other, a JSON table of where each begins, and the length of that table in the last
eight bytes.
"""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.errors import ArtifactError
from tilewise.store import atomic_path, cache_dir, cache_writes, digest_config, digest_file
from tilewise.units import Box, Size

TILE_PX: Final = 512
QUALITY: Final = 88
_VERSION: Final = 1
_TAIL: Final = 8

Rgb = npt.NDArray[np.uint8]


def level_sizes(size: Size) -> tuple[Size, ...]:
    """Sizes of the levels, from the one that fits into one tile to the slide's own; each is half of the next."""
    sizes = [size]
    while max(sizes[-1]) > TILE_PX:
        sizes.append(Size(-(-sizes[-1].width // 2), -(-sizes[-1].height // 2)))
    return tuple(reversed(sizes))


def tile_box(size: Size, column: int, row: int) -> Box | None:
    """Where a tile lies on a level of this size, cut at its edges; None where there is none."""
    return Box(column * TILE_PX, row * TILE_PX, TILE_PX, TILE_PX).clip(size) if min(column, row) >= 0 else None


def encode_jpeg(rgb: Rgb) -> bytes:
    """A picture, uint8 (H, W, 3), as JPEG."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def pack_path(slide: Path) -> Path:
    """Where the tiles of a slide's file are cached, by its bytes."""
    key = digest_config([digest_file(slide), TILE_PX, QUALITY, _VERSION])
    return cache_dir() / "deep-zoom" / key[:2] / f"{key}.tiles"


def write_pack(path: Path, rgb: Rgb) -> None:
    """Cut a slide, uint8 (H, W, 3), and all halvings of it into tiles and write them.

    Raises:
        UsageError: the cache cannot be written to.
    """
    sizes = level_sizes(Size(rgb.shape[1], rgb.shape[0]))
    table: dict[str, list[int]] = {}
    with cache_writes(), atomic_path(path, durable=False) as temporary, temporary.open("wb") as stream:
        for level in reversed(range(len(sizes))):
            size = sizes[level]
            if (rgb.shape[1], rgb.shape[0]) != size:
                rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
            for row in range(-(-size.height // TILE_PX)):
                for column in range(-(-size.width // TILE_PX)):
                    box = tile_box(size, column, row)
                    assert box is not None
                    data = encode_jpeg(rgb[box.rows, box.columns])
                    table[f"{level}/{column}/{row}"] = [stream.tell(), len(data)]
                    stream.write(data)
        head = json.dumps({"size": sizes[-1], "tiles": table}).encode()
        stream.write(head + len(head).to_bytes(_TAIL, "little"))


class TilePack:
    """The tiles of a slide, mapped into memory.

    Args:
        path: of the file that `write_pack` wrote.

    Raises:
        ArtifactError: the file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as stream:
                self._data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            length = int.from_bytes(self._data[-_TAIL:], "little")
            head = json.loads(self._data[-_TAIL - length : -_TAIL])
            self.size = Size(*head["size"])
            self._table: dict[str, list[int]] = head["tiles"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{path} is damaged ({error}); delete it, and it is made again") from error

    def tile(self, level: int, column: int, row: int) -> bytes | None:
        """A tile as JPEG; None where there is none."""
        place = self._table.get(f"{level}/{column}/{row}")
        return None if place is None else self._data[place[0] : place[0] + place[1]]
