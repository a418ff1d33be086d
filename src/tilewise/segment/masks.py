"""The mask of one slide: found, cleaned, compared with the one that was there, and kept by content."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt

from tilewise.auditing.cohort import AuditedSlide
from tilewise.cohort import mask_digest, read_mask
from tilewise.errors import ArtifactError
from tilewise.segment.config import SegmentConfig
from tilewise.segment.scores import boundary_f, dice
from tilewise.slides import open_slide
from tilewise.store import cache_writes, digest_bytes, digest_config, digest_file, read_json, write_bytes, write_json
from tilewise.tissue import tissue_mask

Mask = npt.NDArray[np.bool_]

_SCHEMA, _VERSION = "tilewise.segment-mask", 2
# Goes up whenever the same slide, options and networks give another mask.
_CODE = 2


@dataclass(frozen=True)
class MaskRequest:
    """A slide and what finds its mask.

    Attributes:
        slide: with its own mask, where it has one of use.
        config: how.
        networks: folders of the networks whose mean counts (method unet).
        origin: digests of the networks, or of SAM.
        offline: never reach for the network.
        cache: folder that masks are kept in, by content.
    """

    slide: AuditedSlide
    config: SegmentConfig
    networks: tuple[Path, ...]
    origin: tuple[str, ...]
    offline: bool
    cache: Path

    @property
    def folder(self) -> Path:
        """Where the mask is kept."""
        # Of the options, those that choose and train networks stand in the digests of these already.
        asked = [self.config.method, self.config.mask_threshold, self.config.smallest_region]
        asked += [self.config.boundary_tolerance, self.config.sam.max_prompts]
        key = digest_config([_CODE, self.slide.content, self.slide.use_mask, asked, list(self.origin)])
        return self.cache / "masks" / key[:2] / key


@dataclass(frozen=True)
class SegmentedMask:
    """A mask that was made.

    Attributes:
        path: of the PNG, 0 and 255, of the slide's size.
        digest: of its pixels.
        share: of the slide that it covers; 0 where not even tissue was found.
        fallback: why it is of tissue instead; empty where it is what was asked for.
        dice: with the slide's own mask; None where it has none of use.
        boundary_f: likewise.
    """

    path: Path
    digest: str
    share: float
    fallback: str
    dice: float | None
    boundary_f: float | None


def find_mask(request: MaskRequest) -> SegmentedMask:
    """Make the mask of one slide, or take it from the cache.

    Raises:
        SlideError: the slide or its own mask cannot be read.
        UsageError: the cache cannot be written to.
    """
    cached = _cached(request.folder)
    if cached is not None:
        return cached
    item, config = request.slide, request.config
    with open_slide(item.slide.path, max_pixels=item.size.area) as reader:
        rgb = reader.overview()
    mask, fallback = _segment(request, rgb), ""
    if not mask.any() and config.method != "tissue":
        fallback = f"{config.method} found no region; tissue taken instead"
        mask = clean(tissue_mask(rgb), config.smallest_region)
    own = read_mask(item.slide, item.size)[0] if item.use_mask else None
    metadata: dict[str, Any] = {
        "digest": mask_digest(mask),
        "share": float(mask.mean()),
        "fallback": fallback,
        "dice": None if own is None else dice(mask, own),
        "boundary_f": None if own is None else boundary_f(mask, own, tolerance=config.boundary_tolerance),
    }
    with cache_writes():
        data = bytes(imagecodecs.png_encode(mask.astype(np.uint8) * 255, level=5))
        write_bytes(request.folder / "mask.png", data, durable=False)
        whole = metadata | {"file": digest_bytes(data)}
        write_json(request.folder / "mask.json", whole, schema=_SCHEMA, version=_VERSION)
    return SegmentedMask(request.folder / "mask.png", **metadata)


def clean(mask: Mask, smallest: float) -> Mask:
    """Take away pieces and fill holes that cover less than this share of the slide; bool (H, W)."""
    least = smallest * mask.size
    for value in (True, False):
        num, labels, stats, _ = cv2.connectedComponentsWithStats((mask == value).astype(np.uint8), connectivity=8)
        small = stats[:, cv2.CC_STAT_AREA] < least
        small[0] = False
        if num > 1 and small.any():
            mask = np.where(small[labels], not value, mask)
    return mask


def _segment(request: MaskRequest, rgb: npt.NDArray[np.uint8]) -> Mask:
    config = request.config
    tissue = tissue_mask(rgb)
    if config.method == "tissue":
        return clean(tissue, config.smallest_region)
    if config.method == "sam":
        from tilewise.segment.sam import load_sam, sam_probability

        model = load_sam(config.sam, offline=request.offline)
        plane = sam_probability(model, rgb, tissue, max_prompts=config.sam.max_prompts)
    else:
        from tilewise.compute import prepare_runtime
        from tilewise.segment.segmenter import loaded, mean_plane

        prepare_runtime()
        plane = mean_plane([loaded(folder).predict(rgb) for folder in request.networks])
    return clean(plane >= config.mask_threshold, config.smallest_region)


def _cached(folder: Path) -> SegmentedMask | None:
    path = folder / "mask.png"
    if not path.is_file():
        return None
    try:
        data = read_json(folder / "mask.json", schema=_SCHEMA, version=_VERSION)
        if digest_file(path) != data["file"]:  # version 1 did not note it
            return None
        return SegmentedMask(
            path, str(data["digest"]), float(data["share"]), str(data["fallback"]), data["dice"], data["boundary_f"]
        )
    except (ArtifactError, KeyError, TypeError, ValueError):
        return None  # damaged: it is made again
