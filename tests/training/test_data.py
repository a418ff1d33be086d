"""Features are checked before training."""

from __future__ import annotations

import numpy as np
import pytest

from tilewise.errors import TrainingError
from tilewise.training.data import FeatureData, PartData


def bag(num_tiles: int, num_features: int = 4) -> np.ndarray:
    return np.ones((num_tiles, num_features), dtype=np.float32)


def test_slides_are_joined_in_order() -> None:
    part = PartData.of({"b": bag(2), "a": bag(3)}, {"a": 1, "b": 0, "elsewhere": 2})
    assert part.slide_ids == ("b", "a")
    assert part.labels_S.tolist() == [0, 1]
    assert part.tile_slide_N.tolist() == [0, 0, 1, 1, 1]
    assert part.num_tiles_S.tolist() == [2, 3]


@pytest.mark.parametrize("epoch_loss", [np.nan, np.inf])
def test_a_feature_that_is_not_finite_names_its_slide(epoch_loss: float) -> None:
    broken = bag(3)
    broken[1, 2] = epoch_loss
    with pytest.raises(TrainingError, match=r"slide img_7\.png: feature 2 of tile 1 is not finite; .*decisions\.csv"):
        PartData.of({"img_1.png": bag(2), "img_7.png": broken}, {"img_1.png": 0, "img_7.png": 1})


def test_a_slide_without_tiles_and_one_of_another_length_are_named() -> None:
    with pytest.raises(TrainingError, match="slide b has no tile"):
        PartData.of({"a": bag(2), "b": bag(0)}, {"a": 0, "b": 1})
    with pytest.raises(TrainingError, match="slide b has features of length 5, others have 4"):
        PartData.of({"a": bag(2), "b": bag(2, 5)}, {"a": 0, "b": 1})


def test_one_class_and_parts_that_do_not_fit_are_refused() -> None:
    empty = PartData.of({}, {})
    with pytest.raises(TrainingError, match="the train part holds B only"):
        FeatureData(("A", "B"), PartData.of({"a": bag(2)}, {"a": 1}), empty)
    train = PartData.of({"a": bag(2), "b": bag(2)}, {"a": 0, "b": 1})
    with pytest.raises(TrainingError, match=r"features of lengths \[4, 5\]"):
        FeatureData(("A", "B"), train, PartData.of({"c": bag(2, 5)}, {"c": 1}))
