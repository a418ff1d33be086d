"""One config for both ways of training: what is left out, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tilewise.recipe import load_recipe
from tilewise.training import TrainingConfig
from tilewise.training_config.training import EpochConfig


@pytest.mark.parametrize(
    ("values", "epoch_config"),
    [
        ({}, EpochConfig(60, 0.05, 20, 1, None)),
        ({"input": "tiles"}, EpochConfig(30, 3e-4, 10, None, 32)),
        ({"input": "tiles", "patience": "never", "num_threads": 2, "epochs": 3}, EpochConfig(3, 3e-4, None, 2, 32)),
        ({"patience": 4, "batch_size": 8, "learning_rate": 1.0}, EpochConfig(60, 1.0, 4, 1, 8)),
    ],
)
def test_what_is_left_out_depends_on_what_is_trained(values: dict[str, Any], epoch_config: EpochConfig) -> None:
    assert TrainingConfig.model_validate(values).epoch_config == epoch_config


@given(st.integers(2, 100_000), st.sampled_from(["features", "tiles"]), st.integers(2, 5000) | st.none())
def test_batches_are_full_and_none_has_a_single_tile(num_tiles: int, on: Any, batch_size: int | None) -> None:
    epoch_config = TrainingConfig(input=on, batch_size=batch_size).epoch_config
    most = batch_size or (32 if on == "tiles" else min(max(-(-num_tiles // 8), 32), 2048))
    smallest, largest = (
        num_tiles // epoch_config.num_batches(num_tiles),
        -(-num_tiles // epoch_config.num_batches(num_tiles)),
    )
    assert smallest >= 2
    assert epoch_config.num_batches(num_tiles) <= -(-num_tiles // most)
    # A single tile that is left over joins another batch.
    assert largest <= most + (most == 2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mixup": {"level": "tiles"}}, "training.mixup.level=tiles has no effect with training.input=features"),
        ({"step": {"precision": "bfloat16"}}, "training.step.precision=bfloat16 has no effect"),
        ({"engine": {"channels_last": True}}, "training.engine.channels_last has no effect"),
        ({"engine": {"log": "tensorboard"}}, "set training.input=tiles or drop it"),
        ({"engine": {"cache_megabytes": 1}}, "training.engine.cache_megabytes has no effect"),
        ({"input": "tiles", "step": {"precision": "float16"}, "engine": {"device": "cpu"}}, "needs a graphics card"),
        (
            {"input": "tiles", "engine": {"devices": 2}, "mixup": {"level": "features"}},
            r"set training\.mixup\.level=tiles, or training\.engine\.devices=1",
        ),
        ({"input": "tiles", "engine": {"devices": "all", "compile": True}}, r"engine\.compile is for one device"),
        ({"engine": {"devices": 2}}, "training.engine.devices has no effect"),
        ({"patience": 0}, "greater than or equal to 1"),
        ({"patience": "always"}, "never"),
    ],
)
def test_what_would_have_no_effect_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingConfig.model_validate(values)
    if "input" not in values and "patience" not in values:
        TrainingConfig.model_validate({"input": "tiles"} | values)


def test_a_recipe_says_never_and_comes_back_from_its_own_yaml() -> None:
    recipe = load_recipe("texture", ["training.patience=never", "training.mixup.level=features"])
    assert recipe.training.epoch_config.patience is None
    assert TrainingConfig.model_validate(yaml.safe_load(recipe.to_yaml())["training"]) == recipe.training


def test_the_config_needs_no_torch() -> None:
    code = "import sys; import tilewise.training.networks, tilewise.training; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
