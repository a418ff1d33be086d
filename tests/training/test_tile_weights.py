"""Class weights against scikit-learn's and against the words of their rule."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from tilewise.training.data import PartData
from tilewise.training.tile_weights import class_totals, tile_weights
from tilewise.training_loop import inverse_frequency_weights


@given(st.lists(st.integers(1, 300), min_size=2, max_size=6))
def test_class_weights(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    balanced = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    np.testing.assert_allclose(inverse_frequency_weights(np.array(counts), "inverse"), balanced)
    np.testing.assert_allclose(inverse_frequency_weights(np.array(counts), "sqrt"), np.sqrt(balanced))
    np.testing.assert_array_equal(inverse_frequency_weights(np.array(counts), "none"), np.ones(len(counts)))


def test_a_class_without_slides_has_no_weight_and_changes_no_other() -> None:
    with_gap, without = (
        inverse_frequency_weights(np.array([30, 0, 10]), "inverse"),
        inverse_frequency_weights(np.array([30, 10]), "inverse"),
    )
    np.testing.assert_array_equal(with_gap, [without[0], 0.0, without[1]])


def test_every_slide_counts_the_same_or_every_tile() -> None:
    bags = {"a": np.zeros((1, 2), np.float32), "b": np.zeros((4, 2), np.float32), "c": np.zeros((5, 2), np.float32)}
    part = PartData.of(bags, {"a": 0, "b": 1, "c": 1})
    np.testing.assert_allclose(np.bincount(part.tile_slide_N, tile_weights(part, "slide")), [1, 1, 1])
    np.testing.assert_allclose(np.bincount(part.tile_slide_N, tile_weights(part, "tile")), [1, 4, 5])
    np.testing.assert_array_equal(class_totals(part, 2, "slide"), [1, 2])
    np.testing.assert_array_equal(class_totals(part, 2, "tile"), [1, 9])
