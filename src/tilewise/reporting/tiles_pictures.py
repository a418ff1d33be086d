"""Pictures for the preview of tiles: slides with outlines of their tiles, and a few tiles as the encoder gets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.cohort import AuditedSlide
from tilewise.execution import run_each, slide_time_limit
from tilewise.reporting.audit_pictures import SIDE, SmallPicture
from tilewise.reporting.pictures import outline_path, webp, webp_uri
from tilewise.reporting.text import without_folders
from tilewise.slides import open_slide
from tilewise.tiles.config import TileConfig
from tilewise.tiles.cut_tiles import cut_tiles, tile_masks
from tilewise.tiles.region import SlideRegions
from tilewise.tiles.rows import TileRows

_QUALITY, _TILE_QUALITY = 70, 82
_LARGEST_TILE = 384


@dataclass(frozen=True)
class TilesPictureRequest:
    """A slide to draw.

    Attributes:
        slide: which.
        rows: its tiles.
        config: that they were cut with.
        full_size: rows that are also wanted as pictures of their own.
    """

    slide: AuditedSlide
    rows: TileRows
    config: TileConfig
    full_size: Sequence[int] = ()


@dataclass(frozen=True)
class TilesPicture:
    """A slide with its tiles.

    Attributes:
        slide: the slide with the outline of the region that its tiles were cut by.
        outlines: (strategy, SVG path data around its tiles), in pixels of the picture; `far` after the strategy where
            they are the other fields around its tiles.
        tiles: addresses of the tiles that were asked for.
    """

    slide: SmallPicture
    outlines: tuple[tuple[str, str], ...] = ()
    tiles: tuple[str, ...] = ()


def tiles_pictures(
    requests: Mapping[str, TilesPictureRequest], *, root: str, workers: int | None
) -> dict[str, TilesPicture]:
    """Draw every request; what cannot be drawn says why, without the folders below which people have names.

    Args:
        requests: what to draw, by slide.
        root: the cohort's folder, which error sentences leave out.
        workers: processes; None takes every processor.
    """
    outcome = run_each(draw, requests, stage="preview", workers=workers, limit_s=slide_time_limit())
    lost = {
        failure.item: TilesPicture(SmallPicture(error=without_folders(failure.message, root)))
        for failure in outcome.failures
    }
    return {name: outcome.results.get(name) or lost[name] for name in requests}


def draw(request: TilesPictureRequest) -> TilesPicture:
    """Draw one slide and its chosen tiles.

    Raises:
        SlideError: the slide or its mask cannot be read.
    """
    slide, rows, config = request.slide, request.rows, request.config
    with open_slide(slide.slide.path, max_pixels=slide.size.area) as reader:
        rgb_HWC = reader.thumbnail(SIDE)
        chosen = rows[np.asarray(request.full_size, dtype=np.int64)]
        masks = tile_masks(reader, slide, chosen, config)
        tiles = tuple(_tile_uri(tile) for tile in cut_tiles(reader, chosen, config, masks))
        regions = SlideRegions(slide, config, reader=reader)
        wanted = [region for region in ("mask", "tissue") if region in rows.region.tolist()]
        if not wanted and slide.use_mask:
            wanted = ["mask"]
        around = " ".join(outline_path(regions[region], *rgb_HWC.shape[1::-1]) for region in wanted)  # type: ignore[index]
    height, width = rgb_HWC.shape[:2]
    scale = (width / slide.size.width, height / slide.size.height)
    outlines = tuple(
        (f"{strategy} far" if far else strategy, " ".join(_rectangle(box, scale) for box in boxes.tolist()))
        for strategy in dict.fromkeys(rows.strategy.tolist())
        for far in (True, False)
        if len(boxes := rows.boxes[(rows.strategy == strategy) & ((rows.scale > 0) == far)])
    )
    picture = SmallPicture(webp(rgb_HWC, _QUALITY), width, height, around)
    return TilesPicture(picture, outlines, tiles)


def _rectangle(box: list[int], scale: tuple[float, float]) -> str:
    x, y, width, height = box
    left, top, right, bottom = x * scale[0], y * scale[1], (x + width) * scale[0], (y + height) * scale[1]
    return f"M{left:.1f} {top:.1f}H{right:.1f}V{bottom:.1f}H{left:.1f}Z"


def _tile_uri(tile_HWC: npt.NDArray[np.uint8]) -> str:
    side = tile_HWC.shape[0]
    if side > _LARGEST_TILE:
        tile_HWC = cv2.resize(tile_HWC, (_LARGEST_TILE, _LARGEST_TILE), interpolation=cv2.INTER_AREA)
    return webp_uri(webp(tile_HWC, _TILE_QUALITY))
