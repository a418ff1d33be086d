"""Look at one slide once and keep the facts every check works from."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tilewise.cohort import Slide, mask_digest, read_mask
from tilewise.errors import ArtifactError, MaskError, SlideTooLarge
from tilewise.slides import open_slide, rgb_digest
from tilewise.store import cache_dir, cache_writes, digest_config, digest_file, read_json, write_json
from tilewise.tissue import tissue_mask
from tilewise.units import Size

_log = logging.getLogger(__name__)

_SCHEMA = "tilewise.slide-facts"
_VERSION = 1


@dataclass(frozen=True)
class SlideFacts:
    """What one look at a slide and its mask tells; shares are fractions of the slide's pixels."""

    size: Size
    mpp: float | None
    file_digest: str
    pixel_digest: str
    notes: tuple[str, ...]
    tissue_share: float
    mask_file_digest: str | None
    mask_digest: str | None
    mask_share: float | None
    mask_fault: str | None

    @property
    def content(self) -> str:
        """Digest of the slide's and the mask's bytes."""
        return digest_config([self.file_digest, self.mask_file_digest])


@dataclass(frozen=True)
class FactsRequest:
    """A slide to look at, and the largest it may be."""

    slide: Slide
    max_pixels: int


def look(request: FactsRequest) -> SlideFacts:
    """Decode a slide and its mask once; the result is cached by the bytes of both files.

    Raises:
        SlideUnreadable: the file is missing or damaged.
        SlideTooLarge: it holds more than `max_pixels`.
    """
    slide = request.slide
    file_digest = _digest_or_nothing(slide.path)
    mask_file_digest = _digest_or_nothing(slide.mask_path)
    key = digest_config([file_digest, mask_file_digest, slide.mask_path is None, request.max_pixels, _VERSION])
    cached = cache_dir() / "facts" / key[:2] / f"{key}.json"
    if file_digest is not None and cached.is_file():
        try:
            return _from_json(read_json(cached, schema=_SCHEMA, version=_VERSION))
        except (ArtifactError, KeyError, TypeError):
            _log.warning("%s is damaged; it is made again", cached)
    facts = _look(slide, request.max_pixels, file_digest or "", mask_file_digest)
    # A fault of a mask is told with its path, which another slide of the same bytes does not share.
    if facts.mask_fault is None:
        with cache_writes():
            write_json(cached, json.loads(json.dumps(asdict(facts))), schema=_SCHEMA, version=_VERSION)
    return facts


def _look(slide: Slide, max_pixels: int, file_digest: str, mask_file_digest: str | None) -> SlideFacts:
    try:
        reader = open_slide(slide.path, max_pixels=max_pixels)
    except SlideTooLarge as error:
        error.add_note("the limit is the recipe's: --set audit.max_megapixels=...")
        raise
    with reader:
        whole = reader.read_whole()
        size, mpp, notes = reader.size, reader.mpp, reader.notes
    mask, mask_fault = None, None
    if slide.mask_path is not None:
        try:
            mask, mask_notes = read_mask(slide, size)
            notes = (*notes, *mask_notes)
        except MaskError as error:
            mask_fault = str(error)
    return SlideFacts(
        size=size,
        mpp=mpp,
        file_digest=file_digest,
        pixel_digest=rgb_digest(whole),
        notes=notes,
        tissue_share=float(tissue_mask(whole).mean()),
        mask_file_digest=mask_file_digest,
        mask_digest=None if mask is None else mask_digest(mask),
        mask_share=None if mask is None else float(mask.mean()),
        mask_fault=mask_fault,
    )


def _digest_or_nothing(path: Path | None) -> str | None:
    return digest_file(path) if path is not None and path.is_file() else None


def _from_json(data: dict[str, Any]) -> SlideFacts:
    values = {name: data[name] for name in SlideFacts.__dataclass_fields__}
    values["size"] = Size(*values["size"])
    values["notes"] = tuple(values["notes"])
    return SlideFacts(**values)
