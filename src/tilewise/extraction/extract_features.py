"""Tile set in, feature bags out: what is in the cache is taken from it, the rest is encoded."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tilewise.auditing.cohort import AuditedCohort, AuditedSlide
from tilewise.encoders import Encoder
from tilewise.errors import ArtifactError, SlideError, UsageError
from tilewise.execution import Claim, Failure, current_ray, run_each, slide_time_limit, task, time_limit
from tilewise.extraction.bag import FeatureBag
from tilewise.extraction.config import FeaturesConfig
from tilewise.slides import SlideReader, open_slide
from tilewise.stain.normalise import AnyNormaliser, TileNormaliser
from tilewise.store import cache_dir, cache_writes, digest_bytes, digest_config
from tilewise.tiles.config import TileConfig
from tilewise.tiles.cut_tiles import cut_tiles, tile_masks
from tilewise.tiles.rows import TileRows
from tilewise.tiles.tileset import TileSet

_log = logging.getLogger(__name__)

_CODE_VERSION = 2
_DECODERS = 2
# Large tiles make a chunk smaller than the recipe says: pixels held at a time, as RGB.
_CHUNK_BYTES = 1 << 29
# Tiles of slides that go to a cluster together: each group's last batch is filled up.
_GROUP_TILES = 256


@dataclass(frozen=True)
class _Work:
    slide: AuditedSlide
    rows: TileRows
    key: str
    stain: AnyNormaliser | None

    @property
    def name(self) -> str:
        return self.slide.slide_id

    @property
    def cached(self) -> Path:
        return cache_dir() / "features" / self.key[:2] / f"{self.key}.safetensors"


@dataclass(frozen=True)
class _Job:
    encoder: Encoder
    config: FeaturesConfig
    tile_config: TileConfig


def extract_features(
    cohort: AuditedCohort,
    tiles: TileSet,
    encoder: Encoder,
    config: FeaturesConfig,
    tile_config: TileConfig,
    stains: Mapping[str, AnyNormaliser] | None = None,
) -> tuple[dict[str, FeatureBag], tuple[Failure, ...]]:
    """Encode the tiles of every slide that has any.

    A bag is cached under the digest of the slide's and mask's bytes, its tiles, how they are read and normalised, and
    everything about the encoder that changes its output. Slides are decoded once, ahead of the encoder, and their tiles
    are encoded together in chunks.

    Args:
        cohort: whose slides these are.
        tiles: of these slides.
        encoder: what they are put through.
        config: where and how vectors are kept.
        tile_config: that the tiles were planned with; it says how they are scaled, filled up and filtered.
        stains: slide -> what its pixels are normalised by, an object of its own for each slide; a slide without one is
            taken as it is.

    Returns:
        Slide -> bag in the cohort's order, and the slides that could not be read.

    Raises:
        UsageError: the cache cannot be written to; the bags it holds are not lost.
    """
    slides = {item.slide_id: item for item in cohort.slides}
    bags: dict[str, FeatureBag] = {}
    failures: list[Failure] = []
    missing = []
    all_rows = tiles.rows()
    with task("features", len(all_rows)) as bar:
        for name, rows in all_rows.items():
            stain = (stains or {}).get(name)
            work = _Work(slides[name], rows, _key(slides[name], rows, encoder, tile_config, stain), stain)
            bag = _cached(work) if config.cache else None
            if bag is None:
                missing.append(work)
            else:
                bags[name] = bag
                bar.advance()
        job = _Job(encoder, config, tile_config)
        encoded = _encode(missing, failures, job) if current_ray() is None else _on_cluster(missing, failures, job)
        for bag in encoded:
            bags[bag.slide_id] = bag
            bar.advance()
        bar.advance(len(failures))
    return {name: bags[name] for name in all_rows if name in bags}, tuple(failures)


def num_cached(cohort: AuditedCohort, tiles: TileSet, encoder: Encoder, tile_config: TileConfig) -> int:
    """Slides whose features, in their own stain, lie in the cache."""
    slides = {item.slide_id: item for item in cohort.slides}
    works = [
        _Work(slides[name], rows, _key(slides[name], rows, encoder, tile_config, None), None)
        for name, rows in tiles.rows().items()
    ]
    return sum(work.cached.is_file() for work in works)


def _encode(works: list[_Work], failures: list[Failure], job: _Job) -> Iterator[FeatureBag]:
    """Encode slides one after another; those that cannot be read go to `failures`."""
    chunks = _chunks(works, job.config.chunk_tiles, job.tile_config, failures)
    for work, features_ND in _encoded(chunks, job.encoder):
        left = work.stain.num_unnormalised if isinstance(work.stain, TileNormaliser) else 0
        bag = FeatureBag(work.name, features_ND, work.rows.boxes, left, mask_ratios=work.rows.ratios)
        if job.config.cache:
            with cache_writes():
                bag.write(work.cached, key=work.key)
        yield bag


def _on_cluster(works: list[_Work], failures: list[Failure], job: _Job) -> Iterator[FeatureBag]:
    """As `_encode`, in groups of slides; a group that takes its process down is encoded again slide by slide.

    What stops the command on one machine, an error of the encoder say, stops it here.
    """

    def stop_at_error(_: str, result: object) -> None:
        if isinstance(result, Exception):
            raise result

    encoder = job.encoder
    claim = Claim(encoder.num_threads, gpus=int(encoder.signature.get("device") == "cuda"))
    groups = _groups(works, min(job.config.chunk_tiles, _GROUP_TILES))
    while groups:
        outcome = run_each(
            partial(_encode_group, job=job), groups, stage="encoding", claim=claim, on_result=stop_at_error
        )
        for result in outcome.results.values():
            assert not isinstance(result, Exception)
            bags, failed = result
            failures.extend(failed)
            yield from bags
        again = [(failure, groups[failure.item]) for failure in outcome.failures]
        failures.extend(replace(failure, stage="features") for failure, group in again if len(group) == 1)
        groups = {work.name: [work] for _, group in again if len(group) > 1 for work in group}


def _groups(works: list[_Work], num_tiles: int) -> dict[str, list[_Work]]:
    groups: dict[str, list[_Work]] = {}
    size = num_tiles
    for work in works:
        if size >= num_tiles:
            group = groups[work.name] = []
            size = 0
        group.append(work)
        size += len(work.rows)
    return groups


def _encode_group(works: list[_Work], *, job: _Job) -> tuple[list[FeatureBag], list[Failure]] | Exception:
    """Bags and slides that cannot be read, or the error that is none of a slide's."""
    failures: list[Failure] = []
    try:
        return list(_encode(works, failures, job)), failures
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - it is raised where the command was started
        return error


def _key(
    slide: AuditedSlide, rows: TileRows, encoder: Encoder, tile_config: TileConfig, stain: AnyNormaliser | None
) -> str:
    reading = {name: getattr(tile_config, name) for name in ("size_px", "fit", "pad_color", "mask_filter")}
    if tile_config.mask_filter != "none":
        reading |= {name: getattr(tile_config, name) for name in ("mask_closing_px", "mask_dilation_px")}
        reading["regions"] = [rows.region.tolist(), slide.use_mask]
    where = [digest_bytes(rows.boxes.tobytes()), digest_bytes(rows.fields.tobytes()), sorted(set(rows.padding))]
    # Pixels that are left as they are make the same vectors as where nothing was to be normalised.
    changes = [stain.signature] if stain is not None and stain.signature["method"] != "none" else []
    return digest_config([slide.content, where, reading, encoder.signature, _CODE_VERSION, *changes])


def _cached(work: _Work) -> FeatureBag | None:
    if not work.cached.is_file():
        return None
    try:
        return replace(FeatureBag.read(work.cached, work.name, key=work.key), mask_ratios=work.rows.ratios)
    except ArtifactError as error:
        _log.warning("%s: %s", work.name, error)
        return None


_Chunk = list[tuple[_Work, npt.NDArray[np.uint8]]]


def _chunks(works: list[_Work], num_tiles: int, tile_config: TileConfig, failures: list[Failure]) -> Iterator[_Chunk]:
    """Join the tiles of slides in chunks, full wherever the next slide allows it.

    A slide may fill several chunks, so memory grows neither with the cohort nor with the tiles of a slide.
    """
    most = max(1, min(num_tiles, _CHUNK_BYTES // (3 * tile_config.size_px**2)))
    chunk: _Chunk = []
    capacity = most
    for work, reader in _opened(works, failures):
        start, limit_s, masks = 0, slide_time_limit(), None
        with reader:
            while start < len(work.rows):
                try:
                    with time_limit(work.name, limit_s):
                        if masks is None:
                            masks = tile_masks(reader, work.slide, work.rows, tile_config)
                        rows = work.rows[start : start + capacity]
                        tiles_NHWC = cut_tiles(reader, rows, tile_config, masks, stain=work.stain)
                except SlideError as error:
                    failures.append(Failure(work.name, "features", type(error).__name__, str(error)))
                    break
                chunk.append((work, tiles_NHWC))
                start += len(tiles_NHWC)
                capacity -= len(tiles_NHWC)
                if not capacity:
                    yield chunk
                    chunk, capacity = [], most
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


def _encoded(chunks: Iterator[_Chunk], encoder: Encoder) -> Iterator[tuple[_Work, npt.NDArray[np.float32]]]:
    """Encode chunk by chunk; a slide comes out once all of its tiles are through, and none that failed on the way."""
    pieces: dict[str, list[npt.NDArray[np.float32]]] = {}
    for chunk in chunks:
        features_ND = encoder.encode(np.concatenate([tiles for _, tiles in chunk]))
        start = 0
        for work, tiles in chunk:
            stop = start + len(tiles)
            own = pieces.setdefault(work.name, [])
            own.append(features_ND[start:stop])
            start = stop
            if sum(map(len, own)) == len(work.rows):
                yield work, np.concatenate(pieces.pop(work.name))
