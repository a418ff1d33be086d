"""Measure one slide once: the facts that every check works from."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter

from tilewise.auditing.copies import Fingerprint, measure_fingerprint
from tilewise.auditing.damage import DamageFacts, measure_damage
from tilewise.auditing.histology import HistologyFacts, measure_histology
from tilewise.auditing.ink import InkFacts, measure_ink
from tilewise.auditing.masks import MaskFacts, measure_mask
from tilewise.auditing.quality import QualityFacts, measure_quality
from tilewise.cohort import Slide
from tilewise.errors import ArtifactError, SlideTooLarge
from tilewise.slides import SampleRange, digest_slide, num_bytes, open_slide, overview_factor, rgb_digest, slide_exists
from tilewise.store import (
    cache_dir,
    cache_writes,
    digest_config,
    read_checksummed_tensors,
    write_checksummed_tensors,
)
from tilewise.tissue import tissue_within
from tilewise.units import Size
from tilewise.valid import valid_field

_log = logging.getLogger(__name__)

# Goes up whenever anything that is measured changes.
_VERSION = 11
_FACTS = "facts"
# Fingerprints that stay in memory, 60 kB each at most: of a cohort of this size each is read once.
_NUM_IN_MEMORY = 512


@dataclass(frozen=True)
class SlideFacts:
    """Measures of a slide and its mask, taken from its overview; shares are fractions of the slide's pixels.

    Attributes:
        size: of level 0.
        mpp: microns per pixel; None where unknown.
        file_digest: of the slide's bytes.
        pixel_digest: of its decoded pixels; of a large slide, of its overview's.
        notes: what was handled on the way to pixels.
        tissue_share: share of the slide that is tissue.
        mask_file_digest: of the mask's bytes; None without a file.
        mask: what the mask tells; None where the slide has none.
        ink: blobs and pen lines.
        histology: whether it looks like stained tissue.
        quality: focus, exposure, amount of tissue.
        damage: what a decoder made of damaged data.
        samples: how far the samples of a slide deeper than 8 bits reach; None of other slides.
        num_bytes: of the slide's file.
    """

    size: Size
    mpp: float | None
    file_digest: str
    pixel_digest: str
    notes: tuple[str, ...]
    tissue_share: float
    mask_file_digest: str | None
    mask: MaskFacts | None
    ink: InkFacts
    histology: HistologyFacts
    quality: QualityFacts
    damage: DamageFacts
    samples: SampleRange | None = None
    num_bytes: int = 0

    @property
    def content(self) -> str:
        """Digest of the slide's and the mask's bytes."""
        return _digest_content(self.file_digest, self.mask_file_digest)


@dataclass(frozen=True)
class MeasuredSlide:
    """The facts of a slide, and the fingerprint it is recognised by."""

    facts: SlideFacts
    fingerprint: Fingerprint


@dataclass(frozen=True)
class FactsRequest:
    """A slide to measure, and the most pixels it may have."""

    slide: Slide
    max_pixels: int


@dataclass(frozen=True)
class CachedSlide:
    """The facts of a slide, and where the cache holds its fingerprint.

    Attributes:
        facts: of the slide.
        path: of the fingerprint, which does not change.
        fingerprint: of a slide whose measures are not cached.
    """

    facts: SlideFacts
    path: Path
    fingerprint: Fingerprint | None = None


class CachedFingerprints(Mapping[str, Fingerprint]):
    """Fingerprints of a cohort: a few hundred in memory, the others are read from the cache again.

    Args:
        slides: where they lie.
        requests: how slides are measured that the cache has lost.
    """

    def __init__(self, slides: Mapping[str, CachedSlide], requests: Mapping[str, FactsRequest]) -> None:
        self._slides, self._requests = slides, requests
        self._load = lru_cache(_NUM_IN_MEMORY)(self._read)

    def __iter__(self) -> Iterator[str]:
        return iter(self._slides)

    def __len__(self) -> int:
        return len(self._slides)

    def __getitem__(self, name: str) -> Fingerprint:
        return self._slides[name].fingerprint or self._load(name)

    def _read(self, name: str) -> Fingerprint:
        try:
            return Fingerprint.from_arrays(read_checksummed_tensors(self._slides[name].path)[0])
        except (ArtifactError, ValueError, KeyError):
            return measure_slide(self._requests[name]).fingerprint


def digest_content(slide: Slide) -> str:
    """Digest of the bytes of slide and mask, as `SlideFacts.content` says."""
    return _digest_content(_digest_or_none(slide.path), _digest_or_none(slide.mask_path))


def _digest_content(file_digest: str | None, mask_file_digest: str | None) -> str:
    return digest_config([file_digest, mask_file_digest])


_SCHEMA = TypeAdapter(SlideFacts)


def measure_slide(request: FactsRequest) -> MeasuredSlide:
    """Decode a slide and its mask once; the result is cached by the bytes of both files.

    Raises:
        SlideUnreadable: the file is missing or damaged.
        SlideTooLarge: it holds more than `max_pixels`.
    """
    return _measure(request)[0]


def measure_facts(request: FactsRequest) -> CachedSlide:
    """As `measure_slide`, without the fingerprint where the cache holds it."""
    measured, path = _measure(request)
    return CachedSlide(measured.facts, path, None if _is_cacheable(measured) else measured.fingerprint)


def _measure(request: FactsRequest) -> tuple[MeasuredSlide, Path]:
    """Facts and fingerprint of a slide, and where they lie if they are cached."""
    slide = request.slide
    cached, file_digest, mask_file_digest = _cached(request)
    if file_digest is not None and cached.is_file():
        try:
            return _read(cached), cached
        except (ArtifactError, ValueError, KeyError):
            _log.warning("%s is damaged; it is made again", cached)
    measured = _decode_and_measure(slide, request.max_pixels, file_digest or "", mask_file_digest)
    if _is_cacheable(measured):
        with cache_writes():
            _write(cached, measured)
    return measured, cached


def _is_cacheable(measured: MeasuredSlide) -> bool:
    """A fault of a mask names its path, which another slide of the same bytes does not share."""
    return measured.facts.mask is None or not measured.facts.mask.fault


def is_measured(request: FactsRequest) -> bool:
    """Whether the cache holds the facts of these files already."""
    return _cached(request)[0].is_file()


def _cached(request: FactsRequest) -> tuple[Path, str | None, str | None]:
    """Where the facts lie, and the digests of slide and mask."""
    slide = request.slide
    file_digest, mask_file_digest = _digest_or_none(slide.path), _digest_or_none(slide.mask_path)
    key = digest_config([file_digest, mask_file_digest, slide.mask_path is None, request.max_pixels, _VERSION])
    return cache_dir() / "facts" / key[:2] / f"{key}.safetensors", file_digest, mask_file_digest


def _decode_and_measure(slide: Slide, max_pixels: int, file_digest: str, mask_file_digest: str | None) -> MeasuredSlide:
    try:
        reader = open_slide(slide.path, max_pixels=max_pixels)
    except SlideTooLarge as error:
        error.add_note("the limit is the recipe's: --set audit.max_megapixels=...")
        raise
    with reader:
        rgb = reader.overview()
        factor = overview_factor(reader.size)
        reduced = (f"measured on an overview reduced {factor} times",) if factor > 1 else ()
        # Padding takes no part in any measure.
        field = valid_field(rgb)
        picture = field.picture(rgb)
        tissue = tissue_within(picture)
        whole_tissue = field.paste(tissue, rgb.shape[:2])
        region, mask_facts = measure_mask(slide, reader.size, whole_tissue, rgb)
        facts = SlideFacts(
            size=reader.size,
            mpp=reader.mpp,
            file_digest=file_digest,
            pixel_digest=rgb_digest(rgb),
            notes=(*reader.notes, *reduced, *(mask_facts.notes if mask_facts else ())),
            tissue_share=float(whole_tissue.mean()),
            mask_file_digest=mask_file_digest,
            mask=mask_facts,
            ink=measure_ink(picture, tissue, None if region is None else field.crop(region)).moved(field.box, factor),
            histology=measure_histology(picture, tissue),
            quality=measure_quality(picture, tissue),
            damage=measure_damage(rgb),
            samples=reader.samples,
            num_bytes=num_bytes(slide.path),
        )
        return MeasuredSlide(facts, measure_fingerprint(picture, tissue, field.mask))


def _write(path: Path, measured: MeasuredSlide) -> None:
    facts = {_FACTS: json.loads(_SCHEMA.dump_json(measured.facts))}
    write_checksummed_tensors(path, measured.fingerprint.to_arrays(), facts, durable=False)


def _read(path: Path) -> MeasuredSlide:
    arrays, metadata = read_checksummed_tensors(path)
    return MeasuredSlide(_SCHEMA.validate_json(json.dumps(metadata[_FACTS])), Fingerprint.from_arrays(arrays))


def _digest_or_none(path: Path | None) -> str | None:
    return digest_slide(path) if path is not None and slide_exists(path) else None
