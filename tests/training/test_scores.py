"""How slides of validation are scored: from their tiles, in the way in which they will be predicted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.training.networks.drawn import cnn, draw_data
from tilewise.models import HeadConfig
from tilewise.models.config import Aggregator
from tilewise.training.data import FeatureData, PartData
from tilewise.training.head import train_head
from tilewise.training.networks.train import train_network
from tilewise.training.scores import score_slides
from tilewise.training_config.training import TrainingConfig

# Two slides, of three tiles and of one.
TILES = np.array([[0.9, 0.1], [0.4, 0.6], [0.45, 0.55], [0.2, 0.8]], dtype=np.float32)
PART = PartData(("a", "b"), np.array([0, 1]), np.empty((4, 0), dtype=np.float32), np.array([0, 0, 0, 1]))


@pytest.mark.parametrize(
    ("aggregator", "right", "f1"),
    [("mean", 1.75 / 3, 1.0), ("majority", 1 / 3, 1 / 3), ("max", 0.9 / 1.5, 1.0)],
)
def test_slides_are_scored_as_they_are_predicted(aggregator: Aggregator, right: float, f1: float) -> None:
    other = 1.0 if aggregator == "majority" else 0.8
    loss, score = score_slides(TILES, PART, np.array([1.0, 3.0]), HeadConfig(aggregate=aggregator), "macro_f1")
    assert loss == pytest.approx(-(np.log(right) + 3 * np.log(other)) / 4, abs=1e-6)
    assert score == pytest.approx(f1)


def test_both_ways_of_training_take_it_from_the_head(cohort: Callable[..., FeatureData]) -> None:
    plain, asked = HeadConfig(), HeadConfig(aggregate="max")
    config = TrainingConfig(epochs=2)
    rows = [train_head(cohort(), head, config, seed=0)[1].rows for head in (plain, asked)]
    pixels = TrainingConfig.model_validate(
        {"input": "tiles", "epochs": 2, "num_threads": 1, "engine": {"device": "cpu"}}
    )
    data, _, _ = draw_data()
    histories = [train_network(cnn(head), data, pixels, seed=0)[1].rows for head in (plain, asked)]
    for before, after in (rows, histories):
        assert [row.train_loss for row in after] == [row.train_loss for row in before]
        assert all(one.validation_loss != other.validation_loss for one, other in zip(before, after, strict=True))
