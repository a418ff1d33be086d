"""Every family of the catalogue learns eight tiles by heart: what it gives can be trained, all the way down."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models.networks.made import FAMILIES, small_network
from tests.training.networks.drawn import draw_data
from tilewise.training.networks.train import train_network
from tilewise.training_config.training import TrainingConfig

_QUICK = {"resnet", "vit"}
# A step leaves nine tenths of BatchNorm's first variance of 1. Xception's own are as small as 0.003, forty layers deep:
# after 60 steps each is still half wrong, and prediction with them nonsense; after 100 nothing is left of it.
_EPOCHS = {"resnet": 50, "mobilenet_v1": 60, "vgg": 40}
_RATES = {"densenet": 0.02, "vgg": 3e-4}
_LONG = [pytest.param(family, marks=() if family in _QUICK else pytest.mark.soak) for family in FAMILIES]


@pytest.mark.parametrize("family", _LONG)
def test_learns_eight_tiles_by_heart(family: str) -> None:
    network = small_network(family)
    data, _, _ = draw_data(8, 0, num_tiles=1, signal="none", side=network.card.input_px)
    config = TrainingConfig.model_validate(
        {
            "input": "tiles",
            "epochs": _EPOCHS.get(family, 100),
            "learning_rate": _RATES.get(family, 3e-3),
            "weight_decay": 0.0,
            "num_threads": 1,
            "schedule": {"warmup_epochs": 5},
            "step": {"clip_norm": 1.0},
            "engine": {"device": "cpu"},
        }
    )
    model, history = train_network(network, data, config, seed=0)
    assert history.rows[0].train_loss > 0.5
    assert history.rows[-1].train_loss < 0.01
    predicted = model.predict_tiles(data.train.batch(np.arange(8))).argmax(axis=1)
    assert predicted.tolist() == data.train.slide_data.labels_S.tolist()
