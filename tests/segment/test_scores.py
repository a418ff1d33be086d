"""Agreement of masks, against plain counting, and the interval against that of every other score."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tilewise.evaluation.interval import exact_limit, score_interval
from tilewise.segment.scores import boundary_f, dice, mean_with_interval

masks = arrays(bool, (9, 12))


@given(masks, masks)
def test_dice_counts_pixels(one, other):
    a, b = (set(zip(*np.nonzero(mask), strict=True)) for mask in (one, other))
    expected = 2 * len(a & b) / (len(a) + len(b)) if a or b else 1.0
    assert dice(one, other) == pytest.approx(expected)


def _edge_by_hand(mask):
    height, width = mask.shape
    steps = ((0, 1), (1, 0), (0, -1), (-1, 0))
    return [
        (y, x)
        for y in range(height)
        for x in range(width)
        if mask[y, x]
        and any(0 <= y + dy < height and 0 <= x + dx < width and not mask[y + dy, x + dx] for dy, dx in steps)
    ]


@given(masks, masks, st.sampled_from([0.05, 0.1, 0.17]))
def test_boundary_score_is_what_distances_between_all_edge_pixels_say(one, other, tolerance):
    a, b = np.array(_edge_by_hand(one), float), np.array(_edge_by_hand(other), float)
    computed = boundary_f(one, other, tolerance=tolerance)
    if not len(a) or not len(b):
        assert computed == float(len(a) == len(b))
        return
    distances = np.hypot(*(a[:, None] - b[None]).transpose(2, 0, 1))
    near = distances <= max(1.0, tolerance * 15.0) + 1e-6
    precision, recall = near.any(1).mean(), near.any(0).mean()
    expected = 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)
    assert computed == pytest.approx(expected)


def test_a_shift_within_the_tolerance_costs_nothing_and_beyond_it_everything():
    one, other = np.zeros((200, 200), bool), np.zeros((200, 200), bool)
    one[:, :100], other[:, :104] = True, True
    assert boundary_f(one, other, tolerance=5 / 282) == 1.0
    assert boundary_f(one, other, tolerance=3 / 282) == 0.0


def test_large_masks_are_scored_small():
    one, other = np.zeros((3000, 4000), bool), np.zeros((3000, 4000), bool)
    one[500:2500, 500:3500], other[510:2510, 500:3500] = True, True
    assert boundary_f(one, other, tolerance=0.01) == 1.0


@given(st.lists(st.floats(0.02, 0.98), min_size=3, max_size=12), st.integers(0, 3))
def test_interval_is_that_of_every_other_score(scores, seed):
    values = {str(number): score for number, score in enumerate(scores)}
    computed = mean_with_interval(values, {name: name for name in values}, seed=seed)
    drawn = np.random.default_rng(seed).integers(len(scores), size=(2000, len(scores)))
    expected = score_interval(
        float(np.mean(scores)),
        np.array(scores)[drawn].mean(1),
        num_units=len(scores),
        level=0.95,
        limit=exact_limit(len(scores), 0.95),
    )
    assert [computed[key] for key in ("value", "low", "high")] == pytest.approx(list(asdict(expected).values()))


def test_slides_of_one_group_are_drawn_together():
    values = {str(number): 0.9 if number < 10 else 0.5 for number in range(20)}
    alone = mean_with_interval(values, {name: name for name in values}, seed=0)
    paired = mean_with_interval(values, {name: str(int(name) // 10) for name in values}, seed=0)
    assert (alone["num_groups"], paired["num_groups"]) == (20, 2)
    assert paired["high"] - paired["low"] > 2 * (alone["high"] - alone["low"])


def test_nothing_to_score_gives_no_number():
    assert mean_with_interval({}, {}, seed=0)["value"] is None
    assert mean_with_interval({"a": 0.5}, {"a": "a"}, seed=0)["low"] == 0.0
