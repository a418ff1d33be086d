"""Decoded tiles: the same wherever they are held, each decoded once, and a damaged cache is made again."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from tests.inference.cut import FoldInputs, drawn
from tilewise.errors import SlideError, UsageError
from tilewise.execution import Failure
from tilewise.inference.slide_tiles import InputSpec, SlideTiles, TileSource
from tilewise.inference.tilestore import TileStore
from tilewise.store import cache_dir

BESIDE = InputSpec(masks=True, wide_px=40)
Decoded = list[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> FoldInputs:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILEWISE_CACHE", str(tmp_path_factory.mktemp("cache")))
        return drawn(tmp_path_factory.mktemp("cohort"))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Decoded:
    """Names of the slides that were decoded, as they were."""
    names: Decoded = []
    original = TileSource.decode

    def decode(self: TileSource) -> SlideTiles:
        names.append(self.slide.slide_id)
        return original(self)

    monkeypatch.setattr(TileSource, "decode", decode)
    return names


def arrays(tiles: SlideTiles) -> list[np.ndarray]:
    results = (tiles.images_TSCHW, tiles.masks_THW, tiles.wide_CHW)
    return [array for array in results if array is not None]


def same(one: SlideTiles, two: SlideTiles) -> bool:
    pairs = zip(arrays(one), arrays(two), strict=True)
    return one.key == two.key and all(np.array_equal(*pair) for pair in pairs)


def in_memory(tiles: SlideTiles) -> bool:
    mapped = {isinstance(array, np.memmap) for array in arrays(tiles)}
    assert len(mapped) == 1
    return not mapped.pop()


@pytest.mark.parametrize(("num_slides", "spare"), [(0, 0), (1, 100), (2, 0), (2, -1), (4, 0)])
def test_no_more_is_held_in_memory_than_the_budget(made: FoldInputs, num_slides: int, spare: int) -> None:
    budget = sum(made.source(number, BESIDE).num_bytes for number in range(num_slides)) + spare
    store = made.store(max(budget, 0) / 1e6, BESIDE)
    assert store.fill() == ()
    cached = [store[name] for name in store.slide_ids]
    here = [in_memory(tiles) for tiles in cached]
    assert here == [index < num_slides - (spare < 0) for index in range(4)]
    assert sum(array.nbytes for tiles in cached if in_memory(tiles) for array in arrays(tiles)) <= budget
    on_disk = list((cache_dir() / "tiles").glob("*/*")) if not all(here) else []
    assert len(on_disk) == here.count(False)
    whole = made.store(100.0, BESIDE)
    assert all(same(tiles, whole[name]) for name, tiles in zip(store.slide_ids, cached, strict=True))


def test_every_slide_is_decoded_once_and_what_is_on_disk_never_again(made: FoldInputs, decoded: Decoded) -> None:
    store = made.store(0.0, BESIDE)
    for _ in range(2):
        store.fill()
        assert [len(store[name]) for name in store.slide_ids] == [len(made.source(number)) for number in range(4)]
    assert sorted(decoded) == sorted(store.slide_ids)
    assert made.store(0.0, BESIDE).fill() == ()
    assert len(decoded) == 4
    # Other pixels are other tiles.
    made.store(0.0, InputSpec(masks=True)).fill()
    assert len(decoded) == 8


def test_one_after_another_nothing_is_kept(made: FoldInputs, decoded: Decoded) -> None:
    store = made.store(0.0)
    names = store.slide_ids[::-1]
    for _ in range(2):
        assert [name for name, _ in store.each(names)] == list(names)
    assert len(decoded) == 8
    assert not (cache_dir() / "tiles").exists()
    store.fill(names[:1])
    results = dict(store.each(names))
    assert results[names[0]] is store[names[0]]


def damage_about(folder: Path) -> None:
    (folder / "about.json").write_text("{")


def lose_images(folder: Path) -> None:
    (folder / "images.npy").unlink()


def cut_off(folder: Path) -> None:
    path = folder / "images.npy"
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(folder: Path) -> None:
    path = folder / "masks.npy"
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)


def never_finished(folder: Path) -> None:
    (folder / "about.json").unlink()


@pytest.mark.parametrize("damage", [damage_about, lose_images, cut_off, flip_a_bit, never_finished])
def test_what_is_damaged_on_disk_is_made_again(
    made: FoldInputs, decoded: Decoded, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    first = made.store(0.0, BESIDE)
    first.fill()
    name = first.slide_ids[2]
    folder = cache_dir() / "tiles" / first.key(name)[:2] / first.key(name)
    expected = made.source(2, BESIDE).decode()
    decoded.clear()
    damage(folder)
    with caplog.at_level(logging.WARNING):
        again = made.store(0.0, BESIDE)
        again.fill()
    assert decoded == [name]
    assert same(again[name], expected)
    assert (name in caplog.text) == (damage is not never_finished)
    assert made.store(0.0, BESIDE).fill() == ()
    assert decoded == [name]
    assert not list(folder.parent.glob(".*"))


def fill_with(sources: dict[str, TileSource], cache: str) -> list[tuple[str, bytes]]:
    """In another process: fill a store and return what it holds."""
    os.environ["TILEWISE_CACHE"] = cache
    store = TileStore(sources, cache_megabytes=0.0)
    assert store.fill() == ()
    return [(name, b"".join(array.tobytes() for array in arrays(store[name]))) for name in store.slide_ids]


def test_two_processes_at_once_fill_one_cache(made: FoldInputs) -> None:
    names = [made.audited.slides[number].slide_id for number in range(4)]
    sources = {name: made.source(number, BESIDE) for number, name in enumerate(names)}
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        one, two = (pool.submit(fill_with, sources, str(cache_dir())) for _ in range(2))
        assert one.result() == two.result()
    store = made.store(100.0, BESIDE)
    assert [(name, b"".join(array.tobytes() for array in arrays(store[name]))) for name in names] == one.result()
    folders = list((cache_dir() / "tiles").glob("*/*"))
    assert sorted(folder.name for folder in folders) == sorted(store.key(name) for name in names)


def test_another_process_may_be_as_fast(made: FoldInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one writes the same slide after this one looked and before it is done."""
    original, racing = TileSource.decode, [True]

    def decode(self: TileSource) -> SlideTiles:
        tiles = original(self)
        if racing and racing.pop():
            made.store(0.0, BESIDE).fill([self.slide.slide_id])
        return tiles

    monkeypatch.setattr(TileSource, "decode", decode)
    store = made.store(0.0, BESIDE)
    name = store.slide_ids[0]
    assert same(store[name], made.source(0, BESIDE).decode())
    (folder,) = (cache_dir() / "tiles").glob("*/*")
    assert sorted(path.name for path in folder.iterdir()) == ["about.json", "images.npy", "masks.npy", "wide.npy"]
    assert not list(folder.parent.glob(".*"))


def test_a_slide_that_cannot_be_read_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    made = drawn(tmp_path / "cohort")
    (tmp_path / "cohort/images/img_0001.png").unlink()
    store = made.store()
    (failure,) = store.fill()
    assert (failure.item, failure.stage, failure.error) == ("img_0001.png", "tiles", "SlideUnreadable")
    results = dict(store.each(store.slide_ids))
    assert [isinstance(tiles, Failure) for tiles in results.values()] == [False, True, False, False]
    with pytest.raises(SlideError, match=r"img_0001\.png"):
        store["img_0001.png"]
    assert "img_0001.png" in store
    assert "img_0009.png" not in store


def test_a_cache_that_cannot_be_written_to_is_wrong_use_with_the_next_step(
    made: FoldInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="TILEWISE_CACHE"):
        made.store(0.0).fill()
    assert made.store(100.0).fill() == ()
