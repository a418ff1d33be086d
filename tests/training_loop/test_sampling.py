"""How often slides, tiles and classes come in an epoch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tilewise.training_loop import Sampler, SamplingConfig, seeded

# Six slides of class 0, three of class 1, one of class 2, with 2, 3, 4 ... tiles.
LABELS = np.repeat([0, 1, 2], [6, 3, 1])
TILE_SLIDE = np.repeat(np.arange(10), np.arange(2, 12))


def counts(config: SamplingConfig, labels=LABELS, tile_slide=TILE_SLIDE, seed: int = 0) -> np.ndarray:
    sampler = Sampler(config, labels, tile_slide)
    drawn = sampler.draw(seeded(seed))
    assert len(drawn) == sampler.num_draws
    assert drawn.dtype == torch.int64
    return np.bincount(drawn.numpy(), minlength=len(tile_slide))


def by_class(times: np.ndarray) -> list[int]:
    return np.bincount(LABELS[TILE_SLIDE], times).astype(int).tolist()


def test_every_tile_once_in_the_order_of_the_generator() -> None:
    drawn = Sampler(SamplingConfig(), LABELS, TILE_SLIDE).draw(seeded(3))
    assert torch.equal(drawn, torch.randperm(len(TILE_SLIDE), generator=seeded(3)))


@given(st.integers(0, 10**6), st.integers(1, 9))
def test_by_slide_every_slide_gives_the_same_number_and_no_tile_twice_too_soon(seed: int, each: int) -> None:
    times = counts(SamplingConfig(unit="slide", tiles_per_slide=each), seed=seed)
    np.testing.assert_array_equal(np.bincount(TILE_SLIDE, times), each)
    for slide in range(10):
        own = times[slide == TILE_SLIDE]
        assert own.max() - own.min() <= 1


@given(st.integers(0, 10**6))
def test_balanced_classes_come_alike_and_the_epoch_is_as_long(seed: int) -> None:
    times = counts(SamplingConfig(balance="class"), seed=seed)
    assert times.sum() == len(TILE_SLIDE)
    assert np.ptp(by_class(times)) <= 1
    for label in range(3):
        own = times[LABELS[TILE_SLIDE] == label]
        assert own.max() - own.min() <= 1


def test_balanced_by_slide_makes_the_one_slide_of_a_rare_class_give_other_tiles() -> None:
    times = counts(SamplingConfig(unit="slide", tiles_per_slide=3, balance="class"))
    assert by_class(times) == [9, 12, 9]  # 10 slides in three parts: 3, 4, 3
    assert times[TILE_SLIDE == 9].tolist().count(0) == 11 - 9
    assert times[TILE_SLIDE == 9].max() == 1


@pytest.mark.parametrize(
    ("power", "most", "expected"),
    [(1.0, 1000.0, [27, 27, 27]), (0.5, 1000.0, [27, 27, 17]), (1.0, 2.0, [27, 27, 22]), (1.0, 1.0, [27, 27, 11])],
)
def test_rare_classes_give_more_tiles_up_to_a_limit(power: float, most: float, expected: list[int]) -> None:
    assert by_class(counts(SamplingConfig(balance="rare", rare_power=power, rare_most=most))) == expected


def test_by_slide_rare_classes_give_more_of_theirs() -> None:
    times = counts(SamplingConfig(unit="slide", tiles_per_slide=2, balance="rare", rare_most=10.0))
    assert by_class(times) == [12, 12, 12]
    assert np.bincount(TILE_SLIDE, times).tolist() == [2] * 6 + [4] * 3 + [12]


def test_order_is_mixed_and_depends_on_the_generator_alone() -> None:
    before = torch.random.get_rng_state()
    for config in (
        SamplingConfig(unit="slide"),
        SamplingConfig(balance="rare"),
        SamplingConfig(unit="slide", balance="class"),
    ):
        sampler = Sampler(config, LABELS, TILE_SLIDE)
        first, again, other = (sampler.draw(seeded(1, epoch)) for epoch in (0, 0, 1))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert not torch.equal(first, first.sort().values)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_tiles_of_a_slide_need_not_lie_together_and_classes_may_be_missing() -> None:
    tile_slide = np.array([1, 0, 1, 0, 1])
    times = counts(SamplingConfig(unit="slide", tiles_per_slide=3), np.array([4, 1]), tile_slide)
    np.testing.assert_array_equal(np.bincount(tile_slide, times), 3)
    assert times[[0, 2, 4]].tolist() == [1, 1, 1]
