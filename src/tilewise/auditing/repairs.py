"""Repaired slides and masks: made once, kept in the cache by content; the cohort's own files are never touched."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from tilewise.auditing.ink import before_after, remove_ink
from tilewise.cohort import Slide, read_scaled_mask
from tilewise.errors import ArtifactError
from tilewise.slides import open_slide, overview_factor
from tilewise.slides.png import encode_png
from tilewise.store import (
    atomic_path,
    cache_dir,
    cache_writes,
    digest_bytes,
    digest_config,
    digest_file,
    read_json,
    write_bytes,
    write_json,
)
from tilewise.tissue import tissue_mask
from tilewise.units import Size

# Goes up whenever a repair gives other pixels.
_VERSION = 3
_SCHEMA = "tilewise.repair"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RepairRequest:
    """A slide to repair.

    Attributes:
        slide: as the cohort has it.
        size: level 0.
        content: digest of its bytes and its mask's.
        ink: whether ink is taken out.
        scaled: whether its mask is scaled to it.
        inverted: whether its mask is taken the other way round.
        use_mask: whether its mask is of use; else none is written.
        inpaint: whether the picture of before and after shows tissue painted in under ink.
    """

    slide: Slide
    size: Size
    content: str
    ink: bool
    scaled: bool
    inverted: bool
    use_mask: bool
    inpaint: bool

    @property
    def spares_slide(self) -> bool:
        """Whether ink is taken out of the mask alone: of a large slide only an overview is ever in memory."""
        return self.ink and overview_factor(self.size) > 1

    @property
    def has_own_mask(self) -> bool:
        """Whether the repair leaves a mask of its own; of a large slide without one, the tissue without the ink."""
        return self.use_mask or self.spares_slide

    @property
    def digest(self) -> str:
        """Of everything the repaired files depend on."""
        inputs = [self.content, self.ink, self.scaled, self.inverted, self.use_mask, self.inpaint, _VERSION]
        return digest_config(inputs)


@dataclass(frozen=True)
class RepairedSlide:
    """A repaired slide.

    Attributes:
        slide: with the paths of the repaired files, absolute; of a large slide its own file and a mask without ink.
        has_mask: whether the mask still marks anything.
        tissue_lost: share of the tissue that went with the ink.
        before_after: picture of both; None where only the mask was repaired.
    """

    slide: Slide
    has_mask: bool
    tissue_lost: float
    before_after: Path | None


def repair_slide(request: RepairRequest) -> RepairedSlide:
    """Repair one slide, or find it repaired.

    Raises:
        SlideError: the slide or its mask cannot be read.
        UsageError: the cache cannot be written to.
    """
    folder = cache_dir() / "repaired" / request.digest[:2] / request.digest
    summary = folder / "repair.json"
    if summary.is_file():
        try:
            return _from_cache(request, folder, summary)
        except (ArtifactError, LookupError, TypeError, ValueError):
            _log.warning(
                "%s: its repaired files in %s are damaged; they are made again", request.slide.slide_id, folder
            )
    mask = None
    if request.use_mask:
        mask = read_scaled_mask(request.slide, request.size, inverted=request.inverted)[0]
    lost = 0.0
    pictures = {}
    with cache_writes():
        if request.ink:
            with open_slide(request.slide.path, max_pixels=request.size.area) as reader:
                rgb = reader.overview()
            if mask is None and request.spares_slide:
                mask = tissue_mask(rgb)
            repaired = remove_ink(rgb, mask)
            # Nothing ever learns from painted tissue: it is for the eye alone.
            display = remove_ink(rgb, mask, inpaint=True) if request.inpaint else repaired
            mask, lost = repaired.mask, repaired.tissue_lost
            if not request.spares_slide:
                pictures["slide.png"] = encode_png(repaired.rgb)
            pictures["before_after.png"] = encode_png(before_after(rgb, display))
        if mask is not None:
            pictures["mask.png"] = encode_png(mask.astype(np.uint8) * 255)
        for name, data in pictures.items():
            write_bytes(folder / name, data)
        record = {
            "mask_left": mask is not None and bool(mask.any()),
            "tissue_lost": lost,
            "files": {name: digest_bytes(data) for name, data in pictures.items()},
        }
        write_json(summary, record, schema=_SCHEMA, version=_VERSION)
    return _from_cache(request, folder, summary)


def copy_into(folder: Path, repaired: RepairedSlide, used: set[Path]) -> RepairedSlide:
    """Put repaired files where people look for them: `<slide>.png`, `<slide>_mask.png`, `<slide>_before_after.png`.

    Args:
        folder: where.
        repaired: the repaired slide, in the cache.
        used: paths that other slides have; those of this one are added. Slides whose names differ in their ending
            alone keep it, and where names collide all the same a digest of the name tells them apart.
    """
    name = PurePosixPath(repaired.slide.slide_id)
    last = name.stem if name.suffix.lower() == ".png" else name.name
    stem = folder.joinpath(*["_up" if part == ".." else part for part in name.parts[:-1] if part != "/"], last)
    ends = (".png", "_mask.png", "_before_after.png")
    if any(stem.with_name(stem.name + end) in used for end in ends):
        stem = stem.with_name(f"{stem.name}-{digest_config(repaired.slide.slide_id)[:8]}")
    used.update(stem.with_name(stem.name + end) for end in ends)
    cached = (cache_dir() / "repaired").resolve()
    paths: dict[str, Path | None] = {}
    for role, source, end in (
        ("path", repaired.slide.path, ".png"),
        ("mask_path", repaired.slide.mask_path, "_mask.png"),
        ("before_after", repaired.before_after, "_before_after.png"),
    ):
        if source is None or not source.resolve().is_relative_to(cached):
            paths[role] = source
            continue
        target = stem.with_name(stem.name + end)
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
        paths[role] = target
    slide = replace(repaired.slide, path=paths["path"] or repaired.slide.path, mask_path=paths["mask_path"])
    return replace(repaired, slide=slide, before_after=paths["before_after"])


def _from_cache(request: RepairRequest, folder: Path, summary: Path) -> RepairedSlide:
    data = read_json(summary, schema=_SCHEMA, version=_VERSION)
    path = folder / "slide.png" if request.ink and not request.spares_slide else request.slide.path
    mask = folder / "mask.png" if request.has_own_mask else request.slide.mask_path
    picture = folder / "before_after.png" if request.ink else None
    for name, digest in data["files"].items():
        if not (folder / name).is_file() or digest_file(folder / name) != digest:
            raise ArtifactError(f"{folder / name} is gone or damaged; it is made again")
    slide = replace(request.slide, path=path, mask_path=mask)
    return RepairedSlide(slide, bool(data["mask_left"]), float(data["tissue_lost"]), picture)
