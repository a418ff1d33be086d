"""What a slide looks like to an encoder: mean and spread of a few of its tiles, kept in the cache."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.cohort import Slide
from tilewise.compute import num_processors
from tilewise.encoders import Encoder
from tilewise.errors import ArtifactError
from tilewise.execution import Failure, task
from tilewise.slides import digest_slide, open_slide, slide_exists
from tilewise.store import (
    cache_dir,
    cache_writes,
    digest_config,
    read_checksummed_tensors,
    write_checksummed_tensors,
)
from tilewise.tissue import tissue_mask
from tilewise.units import Box

_log = logging.getLogger(__name__)

_VERSION: Final = 2
_TILE_PX: Final = 224
_MOST_TILES: Final = 16
# Tiles with less than this share of the fullest tile's tissue show mostly glass.
_LEAST_OF_FULLEST: Final = 0.4
_CHUNK_TILES: Final = 512
_MOST_READERS: Final = 4

Tiles = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Embedding:
    """Mean and standard deviation of the features of a slide's tiles, float32 (D,) each."""

    mean_D: npt.NDArray[np.float32]
    spread_D: npt.NDArray[np.float32]
    num_tiles: int


@dataclass(frozen=True, eq=False)
class _SlideTiles:
    """A slide's embedding from the cache, or its tiles and where their embedding goes."""

    name: str
    cached: Path
    embedding: Embedding | None
    tiles_NHWC: Tiles


def embed(
    slides: Mapping[str, Slide], encoder: Encoder, *, workers: int | None = None
) -> tuple[dict[str, Embedding], tuple[Failure, ...]]:
    """Embed slides; what is in the cache is taken from it, and what cannot be read is named and left out.

    Files are read ahead in threads (decoders release the interpreter lock) while the encoder works in this one. Tiles
    of several slides are encoded together, and not more of them are held than one call takes.

    Args:
        slides: what to embed, by any name.
        encoder: made by `build_encoder`.
        workers: files read at a time, four at most; None takes every processor.

    Returns:
        Name -> embedding in the given order, and the slides that could not be read.

    Raises:
        UsageError: the cache cannot be written to.
    """
    embeddings: dict[str, Embedding] = {}
    failures: list[Failure] = []
    signature = digest_config([dict(encoder.signature), _TILE_PX, _MOST_TILES, _VERSION])
    with task("similar", len(slides)) as bar:
        chunk: list[_SlideTiles] = []
        for slide in _open_slides(slides, signature, min(workers or num_processors(), _MOST_READERS)):
            bar.advance()
            if isinstance(slide, Failure):
                failures.append(slide)
            elif slide.embedding is not None:
                embeddings[slide.name] = slide.embedding
            else:
                chunk.append(slide)
                if sum(len(item.tiles_NHWC) for item in chunk) >= _CHUNK_TILES:
                    embeddings |= _encode(chunk, encoder)
                    chunk = []
        embeddings |= _encode(chunk, encoder)
    return {name: embeddings[name] for name in slides if name in embeddings}, tuple(failures)


def _open_slides(slides: Mapping[str, Slide], signature: str, readers: int) -> Iterator[_SlideTiles | Failure]:
    waiting = deque(slides.items())
    with ThreadPoolExecutor(readers) as pool:
        ahead = deque(
            (name, pool.submit(_load_or_cut, name, slide, signature)) for name, slide in _take(waiting, 2 * readers)
        )
        while ahead:
            name, future = ahead.popleft()
            for following, slide in _take(waiting, 1):
                ahead.append((following, pool.submit(_load_or_cut, following, slide, signature)))
            try:
                yield future.result()
            except Exception as error:  # noqa: BLE001 - one slide failed; it is named and the others go on
                yield Failure(name, "similar", type(error).__name__, str(error) or type(error).__name__)


def _take(waiting: deque[tuple[str, Slide]], most: int) -> list[tuple[str, Slide]]:
    return [waiting.popleft() for _ in range(min(most, len(waiting)))]


def _load_or_cut(name: str, slide: Slide, signature: str) -> _SlideTiles:
    content = digest_slide(slide.path) if slide_exists(slide.path) else ""
    key = digest_config([content, signature])
    cached = cache_dir() / "similar" / key[:2] / f"{key}.safetensors"
    embedding = _read(cached)
    if embedding is not None:
        return _SlideTiles(name, cached, embedding, np.empty((0, _TILE_PX, _TILE_PX, 3), np.uint8))
    with open_slide(slide.path) as reader:
        return _SlideTiles(name, cached, None, cut_tiles(reader.overview()))


def cut_tiles(rgb_HWC: Tiles) -> Tiles:
    """Tiles of tissue from all over a slide, uint8 (N, 224, 224, 3), 16 at most.

    The grid lies in the middle of the slide, and tiles are chosen one by one as far as possible from those that were
    chosen before, from the middle of the tissue outwards: a slide that was turned or mirrored gives the same tiles,
    turned or mirrored. A slide smaller than a tile is one tile, enlarged.
    """
    height, width = rgb_HWC.shape[:2]
    side = min(_TILE_PX, height, width)
    corners = np.array([(x, y) for y in _starts(height, side) for x in _starts(width, side)])
    tissue = cv2.integral(tissue_mask(rgb_HWC).astype(np.uint8))
    x, y = corners.T
    shares = (tissue[y + side, x + side] - tissue[y, x + side] - tissue[y + side, x] + tissue[y, x]) / float(
        side * side
    )
    # On blank glass, and on a picture that is nothing but glass to the tissue finder, every tile is as good.
    full = shares >= _LEAST_OF_FULLEST * shares.max()
    boxes = [Box(int(x), int(y), side, side) for x, y in _spread_out(corners[full], shares[full])]
    tiles = [rgb_HWC[box.rows, box.columns] for box in boxes]
    if side != _TILE_PX:
        tiles = [cv2.resize(tile, (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_LINEAR) for tile in tiles]
    return np.stack(tiles)


def _starts(length: int, side: int) -> range:
    number = length // side
    first = (length - number * side) // 2
    return range(first, first + number * side, side)


def _spread_out(corners_N2: npt.NDArray[np.int64], shares_N: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """Farthest points first, from the one nearest the middle of the tissue."""
    middle = np.average(corners_N2, axis=0, weights=np.maximum(shares_N, 1e-6))
    chosen = [int(np.argmin(((corners_N2 - middle) ** 2).sum(axis=1)))]
    distance_N = ((corners_N2 - corners_N2[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < min(_MOST_TILES, len(corners_N2)):
        # Of tiles equally far away, the one with more tissue.
        chosen.append(int(np.lexsort((-shares_N, -distance_N))[0]))
        distance_N = np.minimum(distance_N, ((corners_N2 - corners_N2[chosen[-1]]) ** 2).sum(axis=1))
    return [(int(x), int(y)) for x, y in corners_N2[chosen]]


def _encode(chunk: list[_SlideTiles], encoder: Encoder) -> dict[str, Embedding]:
    if not chunk:
        return {}
    features_ND = encoder.encode(np.concatenate([slide.tiles_NHWC for slide in chunk]))
    embeddings, start = {}, 0
    for slide in chunk:
        own_ND = features_ND[start : start + len(slide.tiles_NHWC)]
        start += len(own_ND)
        embedding = Embedding(own_ND.mean(axis=0), own_ND.std(axis=0), len(own_ND))
        with cache_writes():
            _write(slide.cached, embedding)
        embeddings[slide.name] = embedding
    return embeddings


def _write(path: Path, embedding: Embedding) -> None:
    tensors = {"mean": embedding.mean_D, "spread": embedding.spread_D}
    write_checksummed_tensors(path, tensors, {"num_tiles": embedding.num_tiles}, durable=False)


def _read(path: Path) -> Embedding | None:
    if not path.is_file():
        return None
    try:
        tensors, metadata = read_checksummed_tensors(path)
        return Embedding(tensors["mean"], tensors["spread"], int(metadata["num_tiles"]))
    except (ArtifactError, KeyError):
        _log.warning("%s is damaged; it is made again", path)
        return None
