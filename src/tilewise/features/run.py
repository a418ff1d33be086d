"""Tile set in, feature bags out: what is in the cache is taken from it, the rest is encoded."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tilewise.audit.cohort import AuditedCohort, AuditedSlide
from tilewise.encoders import Encoder
from tilewise.errors import ArtifactError
from tilewise.execution import Failure, task
from tilewise.features.bag import FeatureBag
from tilewise.features.config import FeaturesConfig
from tilewise.slides import SlideReader, open_slide
from tilewise.store import cache_dir, cache_writes, digest_bytes, digest_config
from tilewise.tiles.tileset import TileSet
from tilewise.tiles.window import Boxes
from tilewise.units import Box

_log = logging.getLogger(__name__)

_CODE_VERSION = 1
_DECODERS = 2
# Large tiles make a chunk smaller than the recipe says: pixels held at a time, as RGB.
_CHUNK_BYTES = 1 << 29


@dataclass(frozen=True)
class _Work:
    slide: AuditedSlide
    boxes: Boxes
    key: str

    @property
    def name(self) -> str:
        return self.slide.slide_id

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

    Raises:
        UsageError: the cache cannot be written to; the bags it holds are not lost.
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
        chunks = _chunks(missing, config.chunk_tiles, failures)
        for work, features_ND in _encoded(chunks, encoder):
            bags[work.name] = FeatureBag(work.name, features_ND, work.boxes)
            if config.cache:
                with cache_writes():
                    bags[work.name].write(work.cached, key=work.key)
            bar.advance()
        bar.advance(len(failures))
    return {name: bags[name] for name in all_boxes if name in bags}, tuple(failures)


def _key(slide: AuditedSlide, boxes: Boxes, encoder: Encoder) -> str:
    return digest_config([slide.content, digest_bytes(boxes.tobytes()), encoder.signature, _CODE_VERSION])


def _cached(work: _Work) -> FeatureBag | None:
    if not work.cached.is_file():
        return None
    try:
        return FeatureBag.read(work.cached, work.name, key=work.key)
    except ArtifactError as error:
        _log.warning("%s: %s", work.name, error)
        return None


_Chunk = list[tuple[_Work, npt.NDArray[np.uint8]]]


def _chunks(works: list[_Work], num_tiles: int, failures: list[Failure]) -> Iterator[_Chunk]:
    """Join the tiles of slides in chunks: all of one size, full wherever the next slide allows it.

    A slide may fill several chunks, so memory grows neither with the cohort nor with the tiles of a slide.
    """
    chunk: _Chunk = []
    room, size = 0, (0, 0)
    for work, reader in _opened(works, failures):
        with reader:
            width, height = (int(side) for side in work.boxes[0, 2:])
            if (width, height) != size:
                if chunk:
                    yield chunk
                chunk, size = [], (width, height)
                room = most = max(1, min(num_tiles, _CHUNK_BYTES // (3 * width * height)))
            start = 0
            while start < len(work.boxes):
                tiles_NHWC = _cut(reader, work.boxes[start : start + room])
                chunk.append((work, tiles_NHWC))
                start += len(tiles_NHWC)
                room -= len(tiles_NHWC)
                if not room:
                    yield chunk
                    chunk, room = [], most
    if chunk:
        yield chunk


def _opened(works: list[_Work], failures: list[Failure]) -> Iterator[tuple[_Work, SlideReader]]:
    """Decode a few slides ahead in threads (decoders release the interpreter lock)."""
    waiting = deque(works)
    with ThreadPoolExecutor(_DECODERS) as pool:
        ahead = deque((work, pool.submit(_open, work)) for work in (waiting.popleft() for _ in works[:_DECODERS]))
        while ahead:
            work, future = ahead.popleft()
            if waiting:
                following = waiting.popleft()
                ahead.append((following, pool.submit(_open, following)))
            try:
                reader = future.result()
            except Exception as error:  # noqa: BLE001 - one slide failed; it is named and the others go on
                failures.append(Failure(work.name, "features", type(error).__name__, str(error)))
                continue
            yield work, reader


def _open(work: _Work) -> SlideReader:
    # The audit has let this size pass.
    return open_slide(work.slide.slide.path, max_pixels=work.slide.size.area)


def _cut(reader: SlideReader, boxes: Boxes) -> npt.NDArray[np.uint8]:
    return np.stack([reader.read_region(Box(*box)) for box in boxes.tolist()])


def _encoded(chunks: Iterator[_Chunk], encoder: Encoder) -> Iterator[tuple[_Work, npt.NDArray[np.float32]]]:
    """Encode chunk by chunk; a slide comes out once all of its tiles are through."""
    pieces: list[npt.NDArray[np.float32]] = []
    for chunk in chunks:
        features_ND = encoder.encode(np.concatenate([tiles for _, tiles in chunk]))
        start = 0
        for work, tiles in chunk:
            stop = start + len(tiles)
            pieces.append(features_ND[start:stop])
            start = stop
            if sum(map(len, pieces)) == len(work.boxes):
                yield work, np.concatenate(pieces)
                pieces = []
