"""Batches made ahead: in order, the same whenever they are made, everything of a tile varied alike."""

from __future__ import annotations

import dataclasses
import threading
import time
from contextlib import closing
from typing import Any

import pytest
import torch

from tests.training.networks.drawn import draw_data
from tilewise.models.networks import TileBatch
from tilewise.training.augment import AugmentConfig
from tilewise.training.networks.batches import BatchMaker, TrainingBatch, prefetch, to_memory_format
from tilewise.training_config.training import TrainingConfig

TURNS = AugmentConfig(horizontal_flip=0.5, quarter_turn=0.5)


def batch_maker(augment: AugmentConfig = TURNS, *, has_wide: bool = False, seed: int = 0, **config: Any) -> BatchMaker:
    data, _, _ = draw_data(6, 0, has_wide=has_wide, num_tiles=3)
    num = len(data.train)
    targets = torch.nn.functional.one_hot(torch.arange(num) % 2, 2).float()
    made = TrainingConfig.model_validate({"input": "tiles"} | config)
    return BatchMaker(data.train, targets, torch.linspace(0.5, 1.5, num), made, augment, torch.device("cpu"), seed)


def bytes_of(prepared: TrainingBatch) -> list[bytes]:
    batch = prepared.batch
    tensors = [batch.images_BSCHW, batch.masks_BHW, batch.wides_BCHW, prepared.targets_BC, prepared.weights_B]
    return [tensor.numpy().tobytes() for tensor in tensors if tensor is not None]


def test_a_batch_depends_on_seed_epoch_and_number_alone() -> None:
    mixed = {"mixup": {"level": "tiles", "cutmix_alpha": 1.0}}
    make, tiles = batch_maker(**mixed).make, torch.tensor([4, 0, 9, 7])
    first = bytes_of(make(2, 1, tiles))
    make(0, 0, tiles)
    torch.manual_seed(7)
    assert bytes_of(batch_maker(**mixed).make(2, 1, tiles)) == first
    for other in (batch_maker(**mixed, seed=1).make(2, 1, tiles), make(3, 1, tiles), make(2, 0, tiles)):
        assert bytes_of(other) != first


def test_nothing_varies_where_nothing_is_asked_for() -> None:
    plain = batch_maker(AugmentConfig())
    tiles = torch.tensor([5, 1, 11])
    prepared = plain.make(0, 0, tiles)
    expected = plain.part.batch(tiles.numpy())
    assert torch.equal(prepared.batch.images_BSCHW, expected.images_BSCHW)
    assert torch.equal(prepared.batch.masks_BHW, expected.masks_BHW)
    assert torch.equal(prepared.targets_BC, plain.targets_NC[tiles])
    assert torch.equal(prepared.weights_B, plain.weights_N[tiles])
    assert prepared.mix is None


def test_tile_mask_and_whole_slide_are_turned_alike() -> None:
    made = batch_maker(has_wide=True)
    tiles = torch.arange(12)
    plain, varied = made.part.batch(tiles.numpy()), made.make(0, 0, tiles).batch
    orientations = set()
    for index in range(12):
        ways = [(flip, num_turns) for flip in (False, True) for num_turns in range(4)]
        (way,) = [
            way for way in ways if torch.equal(turned(plain.images_BSCHW[index], *way), varied.images_BSCHW[index])
        ]
        assert torch.equal(turned(plain.masks_BHW[index], *way), varied.masks_BHW[index])
        assert torch.equal(turned(plain.wides_BCHW[index], *way), varied.wides_BCHW[index])
        orientations.add(way)
    assert len(orientations) > 2


def turned(pixels: torch.Tensor, flip: bool, num_turns: int) -> torch.Tensor:
    return (pixels.flip(-1) if flip else pixels).rot90(num_turns, (-2, -1))


def test_tiles_are_cropped_with_their_masks_and_the_whole_slide_is_not() -> None:
    made = dataclasses.replace(batch_maker(AugmentConfig(), has_wide=True), crop_px=20)
    tiles = torch.arange(12)
    plain, cut = made.part.batch(tiles.numpy()), made.make(0, 0, tiles).batch
    assert (cut.images_BSCHW.shape[-2:], cut.masks_BHW.shape[-2:]) == ((20, 20), (20, 20))
    assert torch.equal(cut.wides_BCHW, plain.wides_BCHW)
    places = set()
    for index in range(12):
        windows = plain.images_BSCHW[index].unfold(-2, 20, 1).unfold(-2, 20, 1)  # (S, C, rows, columns, 20, 20)
        same = (windows == cut.images_BSCHW[index][:, :, None, None]).all(dim=(0, 1, 4, 5))
        ((top, left),) = same.nonzero().tolist()
        assert torch.equal(plain.masks_BHW[index, top : top + 20, left : left + 20], cut.masks_BHW[index])
        places.add((top, left))
    assert len(places) > 6


def test_features_are_mixed_by_the_network_and_their_targets_here() -> None:
    prepared = batch_maker(AugmentConfig(), mixup={"level": "features", "mixup_alpha": 1.0}).make(0, 0, torch.arange(6))
    assert prepared.mix is not None
    soft = prepared.targets_BC[(prepared.targets_BC > 0).all(dim=1)]
    assert len(soft) > 0
    torch.testing.assert_close(prepared.targets_BC.sum(dim=1), torch.ones(6))


def test_channels_lie_together_where_asked_and_pixels_are_the_same() -> None:
    images, wides = torch.randint(0, 255, (3, 2, 3, 8, 8)), torch.randint(0, 255, (3, 3, 8, 8))
    batch = TileBatch(images, None, wides)
    assert to_memory_format(batch, channels_last=False) is batch
    channels_last = to_memory_format(batch, channels_last=True)
    assert torch.equal(channels_last.images_BSCHW, images)
    assert torch.equal(channels_last.wides_BCHW, wides)
    assert channels_last.images_BSCHW.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    assert channels_last.wides_BCHW.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("num_workers", [1, 3])
def test_ahead_keeps_the_order_and_makes_few_too_many(num_workers: int) -> None:
    made: list[int] = []

    def make(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        made.append(number)
        return number

    assert list(prefetch(make, 20, num_workers=num_workers)) == list(range(20))
    made.clear()
    with closing(prefetch(make, 20, num_workers=num_workers)) as some:
        assert [next(some) for _ in range(3)] == [0, 1, 2]
    assert len(made) <= 3 + num_workers + 1
    before = threading.active_count()
    list(prefetch(make, 5))
    assert threading.active_count() <= before


def test_what_goes_wrong_ahead_comes_out_where_it_is_due() -> None:
    def make(number: int) -> int:
        if number == 2:
            raise ValueError("tile 2")
        return number

    made = prefetch(make, 9)
    assert [next(made), next(made)] == [0, 1]
    with pytest.raises(ValueError, match="tile 2"):
        next(made)


def test_no_batch_is_no_work() -> None:
    assert list(prefetch(lambda number: number, 0)) == []
