"""A small picture of a slide with its tiles and the region that they were cut by."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.cohort import Slide, read_mask
from tilewise.reporting.data import Picture
from tilewise.segment.output import made_paths
from tilewise.slides import open_slide
from tilewise.tiles.config import TileConfig
from tilewise.tiles.region import prepared
from tilewise.tiles.tileset import TileSet
from tilewise.tiles.window import Boxes
from tilewise.tissue import tissue_mask
from tilewise.units import Box, Size

_SIDE = 480


@dataclass(frozen=True)
class CutBy:
    """What the tiles of a run were cut by.

    Attributes:
        boxes: slide -> its tiles, int64 (N, 4) in level-0 pixels.
        regions: slide -> `mask`, `tissue` and `slide`, as far as tiles were cut by them.
        made: slide -> the mask that was made for it, where one was.
        config: how masks were made ready.
    """

    boxes: Mapping[str, Boxes]
    regions: Mapping[str, frozenset[str]]
    made: Mapping[str, Path]
    config: TileConfig

    @classmethod
    def of_run(cls, tiles: TileSet, segment: Path, config: TileConfig) -> CutBy:
        """Of a run's tiles and its folder of masks.

        Raises:
            ArtifactError: the summary of the masks is damaged.
        """
        regions = {str(name): frozenset(rows) for name, rows in tiles.table.groupby("slide")["region"]}
        return cls(tiles.boxes(), regions, made_paths(segment), config)

    def in_words(self, names: frozenset[str]) -> str:
        """What outlines on pictures of these slides show: `the mask`, say; empty where there is none."""
        kinds = set()
        for name in names:
            regions = self.regions.get(name, frozenset())
            if "mask" in regions:
                kinds.add("a mask that the run made" if name in self.made else "the mask")
            if "tissue" in regions:
                kinds.add("tissue found by its colour")
        return " or ".join(sorted(kinds, reverse=True))


def thumbnail(slide: Mapping[Hashable, Any], cut_by: CutBy) -> Picture:
    """Draw one slide small.

    Args:
        slide: a row of the audit's slide table.
        cut_by: what its tiles were cut by.

    Raises:
        SlideError: the slide or its mask cannot be read.
    """
    name, path = str(slide["slide"]), Path(slide["path"])
    size = Size(int(slide["width"]), int(slide["height"]))
    rgb_HWC = _small(path, _stamp(path), size.area)
    height, width = rgb_HWC.shape[:2]
    scale_x, scale_y = width / size.width, height / size.height
    small = tuple(
        Box(
            round(x * scale_x),
            round(y * scale_y),
            max(1, round((x + w) * scale_x) - round(x * scale_x)),
            max(1, round((y + h) * scale_y) - round(y * scale_y)),
        )
        for x, y, w, h in cut_by.boxes[name].tolist()
    )
    return Picture(rgb_HWC, small, _region(slide, size, rgb_HWC, cut_by))


def _region(
    slide: Mapping[Hashable, Any], size: Size, rgb_HWC: npt.NDArray[np.uint8], cut_by: CutBy
) -> npt.NDArray[np.bool_] | None:
    name = str(slide["slide"])
    regions = cut_by.regions.get(name, frozenset())
    region_HW = tissue_mask(rgb_HWC) if "tissue" in regions else None
    if "mask" in regions:
        path = cut_by.made.get(name) or Path(slide["mask"])
        mask, _ = read_mask(Slide(name, Path(slide["path"]), path), size)
        config = cut_by.config
        mask = prepared(mask, closing=config.mask_closing_px, dilation=config.mask_dilation_px)
        height, width = rgb_HWC.shape[:2]
        small = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)
        region_HW = small if region_HW is None else region_HW | small
    return region_HW


@lru_cache(maxsize=128)  # variants of a sweep mostly show the same slides; one is half a megabyte
def _small(path: Path, stamp: tuple[int, int], max_pixels: int) -> npt.NDArray[np.uint8]:
    del stamp  # another file in the same place is another picture
    with open_slide(path, max_pixels=max_pixels) as reader:
        return reader.thumbnail(_SIDE)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0  # opening it says what is wrong
    return status.st_mtime_ns, status.st_size
