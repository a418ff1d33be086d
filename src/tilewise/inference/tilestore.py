"""Tiles of many slides, each decoded once: in memory as far as a budget goes, in the cache folder beyond it."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from tilewise.auditing.cohort import AuditedCohort
from tilewise.errors import ArtifactError, UsageError
from tilewise.execution import Failure, task
from tilewise.inference.slide_tiles import InputSpec, Pixels, SlideTiles, TileSource
from tilewise.stain.normalise import AnyNormaliser
from tilewise.store import cache_dir, cache_writes, digest_file, read_json, write_json
from tilewise.tiles.config import TileConfig
from tilewise.tiles.tileset import TileSet

_log = logging.getLogger(__name__)

_SCHEMA = "tilewise.decoded-tiles"
_VERSION = 2
_ABOUT = "about.json"
_ARRAYS = ("images", "masks", "wide")
_AHEAD = 2


class TileStore:
    """Decoded tiles by slide.

    Which slides stay in memory is settled at the start, in their order: each that still fits the budget. The tiles of
    the others are written to `$TILEWISE_CACHE/tiles` once, under a digest of everything they follow from, and read from
    there page by page as they are asked for; the system keeps in memory what it has room for.

    Args:
        sources: slide -> what its tiles are made from.
        cache_megabytes: budget of decoded tiles in memory, in units of 10^6 bytes.
    """

    def __init__(self, sources: Mapping[str, TileSource], *, cache_megabytes: float) -> None:
        self._sources = dict(sources)
        self._tiles: dict[str, SlideTiles] = {}
        self._in_memory: set[str] = set()
        left = cache_megabytes * 1e6
        for name, source in self._sources.items():
            if source.num_bytes <= left:
                self._in_memory.add(name)
                left -= source.num_bytes

    @classmethod
    def of(
        cls,
        cohort: AuditedCohort,
        tiles: TileSet,
        tile_config: TileConfig,
        input_spec: InputSpec,
        *,
        stains: Mapping[str, AnyNormaliser] | None = None,
        cache_megabytes: float = 2000.0,
    ) -> Self:
        """The store of a cohort's tiles; nothing is decoded yet.

        Args:
            cohort: whose slides these are.
            tiles: of these slides.
            tile_config: that they were planned with.
            input_spec: what the network is shown of them.
            stains: slide -> what its pixels are normalised by; a slide without one is taken as it is.
            cache_megabytes: budget of decoded tiles in memory.
        """
        slides = {item.slide_id: item for item in cohort.slides}
        sources = {
            name: TileSource(slides[name], rows, tile_config, input_spec, (stains or {}).get(name))
            for name, rows in tiles.rows().items()
        }
        return cls(sources, cache_megabytes=cache_megabytes)

    @property
    def slide_ids(self) -> tuple[str, ...]:
        """Slides that have tiles, in order."""
        return tuple(self._sources)

    def key(self, slide_id: str) -> str:
        """Digest of everything the tiles of a slide follow from; nothing is decoded."""
        return self._sources[slide_id].key

    def source(self, slide_id: str) -> TileSource:
        """What the tiles of a slide are made from."""
        return self._sources[slide_id]

    def __getstate__(self) -> dict[str, Any]:
        """Without tiles that lie in the cache folder, from where another process takes them as well."""
        return {**vars(self), "_tiles": {name: self._tiles[name] for name in self._tiles if name in self._in_memory}}

    def __contains__(self, slide_id: object) -> bool:
        return slide_id in self._sources

    def __getitem__(self, slide_id: str) -> SlideTiles:
        """The tiles of a slide, decoded where they are not yet.

        Raises:
            SlideError: the slide or its mask cannot be read.
            UsageError: the cache cannot be written to.
        """
        if slide_id not in self._tiles:
            self._tiles[slide_id] = self._made(slide_id, keep=True)
        return self._tiles[slide_id]

    def fill(self, slide_ids: Iterable[str] | None = None, *, num_threads: int = _AHEAD) -> tuple[Failure, ...]:
        """Decode slides ahead of their use, in threads, and hold them.

        Args:
            slide_ids: which; None takes all.
            num_threads: slides that are decoded at a time.

        Returns:
            The slides that could not be read; they are held no more than before.

        Raises:
            UsageError: the cache cannot be written to.
        """
        wanted = [name for name in (self._sources if slide_ids is None else slide_ids) if name not in self._tiles]
        failures: list[Failure] = []
        with task("decoding", len(wanted)) as bar:
            for name, tiles_or_failure in self._ahead(wanted, num_threads, keep=True):
                bar.advance()
                if isinstance(tiles_or_failure, Failure):
                    failures.append(tiles_or_failure)
                else:
                    self._tiles[name] = tiles_or_failure
        return tuple(failures)

    def each(
        self, slide_ids: Sequence[str], *, num_threads: int = _AHEAD
    ) -> Iterator[tuple[str, SlideTiles | Failure]]:
        """Slides one after another, decoded a few ahead; what was not held before is not held after."""
        yield from self._ahead(slide_ids, num_threads, keep=False)

    def _ahead(
        self, slide_ids: Sequence[str], num_threads: int, *, keep: bool
    ) -> Iterator[tuple[str, SlideTiles | Failure]]:
        waiting = deque(slide_ids)
        with ThreadPoolExecutor(num_threads) as pool:
            ahead: deque[tuple[str, Future[SlideTiles]]] = deque()
            try:
                while waiting or ahead:
                    while waiting and len(ahead) < 2 * num_threads:
                        name = waiting.popleft()
                        ahead.append((name, pool.submit(self._load, name, keep=keep)))
                    name, future = ahead.popleft()
                    error = future.exception()
                    if error is None:
                        yield name, future.result()
                    elif isinstance(error, UsageError) or not isinstance(error, Exception):
                        raise error
                    else:
                        yield name, Failure(name, "tiles", type(error).__name__, str(error))
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _load(self, slide_id: str, *, keep: bool) -> SlideTiles:
        tiles = self._tiles.get(slide_id)
        return self._made(slide_id, keep=keep) if tiles is None else tiles

    def _made(self, slide_id: str, *, keep: bool) -> SlideTiles:
        source = self._sources[slide_id]
        folder = cache_dir() / "tiles" / source.key[:2] / source.key
        tiles_or_failure = _read(folder, source)
        if tiles_or_failure is not None:
            return tiles_or_failure
        tiles = source.decode()
        if not keep or slide_id in self._in_memory:
            return tiles
        with cache_writes():
            _write(folder, tiles)
        return _read(folder, source) or tiles


def _write(folder: Path, tiles: SlideTiles) -> None:
    """Write the arrays beside each other into a folder that gets its name once it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".tmp"))
    try:
        digests = {}
        for name, array in zip(_ARRAYS, _arrays(tiles), strict=True):
            if array is not None:
                np.save(temporary / f"{name}.npy", array)
                digests[name] = digest_file(temporary / f"{name}.npy")
        metadata = {"key": tiles.key, "digests": digests, "num_unnormalised": tiles.num_unnormalised}
        write_json(temporary / _ABOUT, metadata, schema=_SCHEMA, version=_VERSION)
        temporary.chmod(0o755)
        _move(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError:
        if (folder / _ABOUT).exists():
            return  # another process was as fast
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)


def _read(folder: Path, source: TileSource) -> SlideTiles | None:
    """The tiles in the cache, mapped into memory; None where there are none or they are damaged."""
    if not (folder / _ABOUT).is_file():
        return None
    try:
        metadata = read_json(folder / _ABOUT, schema=_SCHEMA, version=_VERSION)
        arrays: dict[str, Pixels] = {}
        for name, digest in metadata["digests"].items():
            arrays[name] = _mapped(folder / f"{name}.npy", digest)
        whole = SlideTiles(source.key, arrays["images"], num_unnormalised=int(metadata["num_unnormalised"]))
    except (ArtifactError, OSError, KeyError, TypeError, ValueError) as error:
        _log.warning("%s: its decoded tiles in %s are damaged (%s)", source.slide.slide_id, folder, error)
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return replace(whole, masks_THW=arrays.get("masks"), wide_CHW=arrays.get("wide"))


def _mapped(path: Path, digest: str) -> Pixels:
    # Before it is opened: a crash of the machine may have left half of it.
    if digest_file(path) != digest:
        raise ValueError(f"{path.name} is not what was written")
    array: Pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _arrays(tiles: SlideTiles) -> tuple[Pixels | None, ...]:
    return tiles.images_TSCHW, tiles.masks_THW, tiles.wide_CHW
