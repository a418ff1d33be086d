"""Tile set in, feature bags out: what is in the cache is taken from it, the rest is encoded."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tilewise.audit.cohort import AuditedCohort, AuditedSlide
from tilewise.encoders import Encoder
from tilewise.errors import ArtifactError
from tilewise.execution import Failure, Task, task
from tilewise.features.bag import FeatureBag
from tilewise.features.config import FeaturesConfig
from tilewise.slides import open_slide
from tilewise.store import cache_dir, digest_bytes, digest_config
from tilewise.tiles.tileset import TileSet
from tilewise.tiles.window import Boxes
from tilewise.units import Box

_log = logging.getLogger(__name__)

_CODE_VERSION = 1
_DECODERS = 2


@dataclass(frozen=True)
class _Work:
    slide: AuditedSlide
    boxes: Boxes
    key: str

    @property
    def cached(self) -> Path:
        return cache_dir() / "features" / self.key[:2] / f"{self.key}.h5"


def run(
    cohort: AuditedCohort, tiles: TileSet, encoder: Encoder, config: FeaturesConfig
) -> tuple[dict[str, FeatureBag], tuple[Failure, ...]]:
    """Encode the tiles of every slide that has any.

    A bag is cached under the digest of the slide's and mask's bytes, its boxes, and everything about the encoder that
    changes its output. Slides are decoded once, ahead of the encoder, and their tiles are encoded together in chunks.

    Returns:
        Slide -> bag in the cohort's order, and the slides that could not be read.
    """
    slides = {item.slide_id: item for item in cohort.slides}
    bags: dict[str, FeatureBag] = {}
    failures: list[Failure] = []
    missing = []
    all_boxes = tiles.boxes()
    with task("features", len(all_boxes)) as bar:
        for name, boxes in all_boxes.items():
            work = _Work(slides[name], boxes, _key(slides[name], boxes, encoder))
            bag = _cached(work) if config.cache else None
            if bag is None:
                missing.append(work)
            else:
                bags[name] = bag
                bar.advance()
        for chunk in _chunks(missing, config.chunk_tiles, failures):
            _encode(chunk, encoder, bags, config, bar)
    return {name: bags[name] for name in all_boxes if name in bags}, tuple(failures)


def _key(slide: AuditedSlide, boxes: Boxes, encoder: Encoder) -> str:
    return digest_config([slide.content, digest_bytes(boxes.tobytes()), encoder.signature, _CODE_VERSION])


def _cached(work: _Work) -> FeatureBag | None:
    if not work.cached.is_file():
        return None
    try:
        return FeatureBag.read(work.cached, work.slide.slide_id, key=work.key)
    except ArtifactError as error:
        _log.warning("%s", error)
        work.cached.unlink(missing_ok=True)
        return None


_Chunk = list[tuple[_Work, npt.NDArray[np.uint8]]]


def _chunks(works: list[_Work], num_tiles: int, failures: list[Failure]) -> Iterator[_Chunk]:
    """Decode slides ahead in threads (decoders release the interpreter lock) and join their tiles in chunks.

    Only a few slides are held at a time, so memory does not grow with the cohort.
    """
    chunk: _Chunk = []
    held = 0
    with ThreadPoolExecutor(_DECODERS) as pool:
        ahead = [pool.submit(_cut, work) for work in works[:_DECODERS]]
        for position, work in enumerate(works):
            future = ahead.pop(0)
            following = position + _DECODERS
            if following < len(works):
                ahead.append(pool.submit(_cut, works[following]))
            try:
                tiles_NHWC = future.result()
            except Exception as error:  # noqa: BLE001 - one slide failed; it is named and the others go on
                failures.append(Failure(work.slide.slide_id, "features", type(error).__name__, str(error)))
                continue
            same_size = not chunk or chunk[0][1].shape[1:] == tiles_NHWC.shape[1:]
            if chunk and (held + len(tiles_NHWC) > num_tiles or not same_size):
                yield chunk
                chunk, held = [], 0
            chunk.append((work, tiles_NHWC))
            held += len(tiles_NHWC)
    if chunk:
        yield chunk


def _cut(work: _Work) -> npt.NDArray[np.uint8]:
    # The audit has let this size pass.
    with open_slide(work.slide.slide.path, max_pixels=work.slide.size.area) as reader:
        return np.stack([reader.read_region(Box(*(int(value) for value in box))) for box in work.boxes])


def _encode(chunk: _Chunk, encoder: Encoder, bags: dict[str, FeatureBag], config: FeaturesConfig, bar: Task) -> None:
    features_ND = encoder.encode(np.concatenate([tiles for _, tiles in chunk]))
    start = 0
    for work, tiles in chunk:
        stop = start + len(tiles)
        bag = FeatureBag(work.slide.slide_id, features_ND[start:stop].copy(), work.boxes)
        if config.cache:
            bag.write(work.cached, key=work.key)
        bags[work.slide.slide_id] = bag
        start = stop
        bar.advance()
