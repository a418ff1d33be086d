"""Random views that are drawn anew: other places each epoch, the same ones again, and no trace left."""

from __future__ import annotations

import pickle
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.inference.cut import FoldInputs, drawn
from tests.one_thread import one_thread  # noqa: F401 - used by every test here
from tests.training.networks.fold_of import task
from tilewise.errors import SlideError
from tilewise.folds import Fold
from tilewise.inference.slide_tiles import InputSpec
from tilewise.tiles.plan import plan_tiles
from tilewise.tiles.strategies import TileRequest
from tilewise.training.network_fold import train_network_fold
from tilewise.training.networks import engine
from tilewise.training.networks.data import Redraw, TilePart
from tilewise.training.networks.views import DrawnViews

VIEWS = ("tiles.strategy=random_views", "tiles.random_views_num=3", "tiles.stride_px=null", "tiles.min_mask_ratio=0.1")


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> FoldInputs:
    return drawn(tmp_path_factory.mktemp("cohort") / "c", *VIEWS, num_slides=4)


@pytest.fixture(scope="module")
def part(views: FoldInputs) -> TilePart:
    store = views.store(input_spec=InputSpec(masks=True))
    names = store.slide_ids
    first = TilePart.of(store, names, {name: number % 2 for number, name in enumerate(names)})
    return replace(first, redraw=Redraw(tuple(store.source(name) for name in names), 1, 100.0))


def bytes_of(part: TilePart) -> bytes:
    batch = part.batch(np.arange(len(part)))
    return batch.images_BSCHW.numpy().tobytes() + batch.masks_BHW.numpy().tobytes()


def opened(part: TilePart, num_epochs: int = 9, folder: Path | None = None) -> closing[DrawnViews]:
    return closing(DrawnViews(part, num_epochs=num_epochs, folder=folder, num_threads=2))


def test_every_epoch_has_the_views_of_its_number_and_the_first_those_that_are_scored(
    views: FoldInputs, part: TilePart
) -> None:
    with opened(part) as drawn_views:
        epochs = [drawn_views.part(epoch) for epoch in range(3)]
        assert bytes_of(epochs[0]) == bytes_of(part)
        assert len({bytes_of(one) for one in epochs}) == 3
    for epoch, one in enumerate(epochs):
        for index, item in enumerate(views.audited.slides):
            rows = plan_tiles(TileRequest(item, views.tile_config, epoch)).rows
            expected = replace(views.source(index, InputSpec(masks=True)), rows=rows).decode()
            assert np.array_equal(one.tiles[index].images_TSCHW, expected.images_TSCHW)
            assert np.array_equal(one.tiles[index].masks_THW, expected.masks_THW)


def test_a_training_that_starts_later_sees_the_same_and_epochs_may_share_a_draw(part: TilePart) -> None:
    shared = replace(part, redraw=replace(part.redraw, epochs=2))
    with opened(part) as each, opened(part) as later, opened(shared) as slower:
        third = [bytes_of(each.part(epoch)) for epoch in range(4)][3]
        assert bytes_of(later.part(3)) == third
        pairs = [bytes_of(slower.part(epoch)) for epoch in range(6)]
    assert pairs[::2] == pairs[1::2]
    # Every process of several draws by itself.
    with opened(replace(part, redraw=pickle.loads(pickle.dumps(part.redraw)))) as elsewhere:
        assert bytes_of(elsewhere.part(3)) == third
    assert len(set(pairs)) == 3


def test_the_number_of_tiles_stays_and_tiles_that_were_composed_as_well(part: TilePart) -> None:
    composed = replace(
        part,
        tiles=(*part.tiles, part.tiles[0]),
        place_N=np.append(part.place_N, 2),
        tiles_index_N=np.append(part.slide_data.tile_slide_N, len(part.tiles)),
        slide_data=replace(
            part.slide_data,
            features_ND=np.empty((len(part) + 1, 0), np.float32),
            tile_slide_N=np.append(part.slide_data.tile_slide_N, 0),
        ),
        # A slide of which fewer views can be drawn than it had.
        redraw=replace(part.redraw, sources=(_fewer(part.redraw.sources[0]), *part.redraw.sources[1:])),
    )
    last = np.array([len(part)])
    with opened(composed) as drawn_views:
        after = drawn_views.part(1)
        assert len(after.batch(np.arange(len(after)))) == len(part) + 1
        assert torch.equal(after.batch(last).images_BSCHW, composed.batch(last).images_BSCHW)


def _fewer(source):
    return replace(source, tile_config=source.tile_config.model_copy(update={"max_tiles": 2}))


def test_beyond_the_memory_views_lie_in_files_that_are_gone_afterwards(part: TilePart, tmp_path: Path) -> None:
    one = part.redraw.sources[0].num_bytes / 1e6
    tight = replace(part, redraw=replace(part.redraw, cache_megabytes=1.5 * one))
    with opened(part) as plain, opened(tight, folder=tmp_path) as in_files:
        for epoch in range(3):
            views_part = in_files.part(epoch)
            assert bytes_of(views_part) == bytes_of(plain.part(epoch))
            # That of the epoch, and that of the next.
            assert len(list(tmp_path.iterdir())) == min(epoch + 1, 2)
        assert [isinstance(tiles.images_TSCHW, np.memmap) for tiles in views_part.tiles] == [False, True, True, True]
    assert list(tmp_path.iterdir()) == []


def test_a_slide_that_is_gone_is_named(part: TilePart, views: FoldInputs, tmp_path: Path) -> None:
    source = part.redraw.sources[1]
    lost = replace(source.slide, slide=replace(source.slide.slide, path=tmp_path / "gone.png"))
    broken = replace(part, redraw=replace(part.redraw, sources=(replace(source, slide=lost),)))
    with opened(broken) as drawn_views, pytest.raises(SlideError, match=r"gone\.png"):
        [drawn_views.part(epoch) for epoch in range(2)]


class Killed(Exception):
    """Stands for the end of the process."""


def test_a_fold_learns_from_new_views_and_one_that_was_stopped_goes_on_to_the_bit(
    views: FoldInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tuple(item.slide_id for item in views.audited.slides)
    chosen = replace(
        task(epochs=3),
        labels={name: "AB"[number % 2] for number, name in enumerate(names)},
        fold=Fold(train=names, validation=(), test=()),  # the last epoch is the one that is kept
    )
    stops: list[bytes] = []
    original = engine.Engine.start_epoch

    def stop(self: engine.Engine, epoch: int, seed: int) -> int:
        if epoch == 2 and len(stops) < 2:
            stops.append(b"")
            raise Killed
        return original(self, epoch, seed)

    def train(out: str, cut: FoldInputs = views) -> dict[str, bytes]:
        model = train_network_fold(chosen, cut.store(input_spec=InputSpec(masks=True)), out=tmp_path / out)
        return {name: array.tobytes() for name, array in model.weights.items()}

    whole = train("whole")
    monkeypatch.setattr(engine.Engine, "start_epoch", stop)
    with pytest.raises(Killed):
        train("stopped")
    stops += [b"", b""]
    assert train("stopped") == whole
    fixed = replace(views, tile_config=views.tile_config.model_copy(update={"random_views_epochs": 0}))
    assert train("fixed", fixed) != whole
    # Another way of drawing makes another fold, though the first views are the same.
    assert train("stopped", fixed) == train("fixed", fixed)
