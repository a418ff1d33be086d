"""What a recipe may ask for, and what is refused in words."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tilewise.training.augment import Augment, AugmentConfig
from tilewise.training.pretrain import PretrainConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 5}, "pretrain.epochs has no effect with `method: none`"),
        ({"augment": {"hed": {"strength": 0.2}}}, "pretrain.augment has no effect with `method: none`"),
        ({"use_unlabelled": True}, "pretrain.use_unlabelled has no effect"),
        ({"method": "simclr", "augment": AugmentConfig()}, "two views of a tile would be the same"),
        ({"method": "simclr", "temperature": 0.0}, "greater than or equal to 0.01"),
        ({"method": "simclr", "batch_size": 1}, "greater than or equal to 2"),
        ({"method": "moco"}, "'none' or 'simclr'"),
        ({"method": "simclr", "augment": {"hue": 0.1}}, "hue"),
    ],
)
def test_what_would_have_no_effect_or_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message.replace(".", r"\.")):
        PretrainConfig.model_validate(settings)


def test_none_is_the_default_and_may_be_written_out() -> None:
    assert PretrainConfig().method == "none"
    whole = PretrainConfig(method="simclr", augment={"blur": {"probability": 0.0}})
    for config in (PretrainConfig(), whole):
        assert PretrainConfig.model_validate(config.model_dump(mode="json")) == config


def test_what_is_left_out_of_augment_is_as_for_pretraining() -> None:
    views = PretrainConfig().augment
    assert views != AugmentConfig()
    assert not views.is_off
    changed = PretrainConfig.model_validate({"method": "simclr", "augment": {"color": {"hue": 0.2}}}).augment
    assert changed.color == views.color.model_copy(update={"hue": 0.2})
    assert changed.model_copy(update={"color": views.color}) == views


def test_no_glass_comes_into_a_view_from_outside() -> None:
    black = torch.zeros(300, 1, 3, 32, 32, dtype=torch.uint8)
    only_moved = AugmentConfig(affine=PretrainConfig().augment.affine)
    moved, _ = Augment(only_moved)(black, None, torch.Generator().manual_seed(0))
    assert not moved.any()
    marked = black.clone()
    marked[..., :4, :] = 255  # what is cut off where a view is a part
    moved, _ = Augment(only_moved)(marked, None, torch.Generator().manual_seed(0))
    assert 0.4 < (moved == 0).flatten(1).all(dim=1).float().mean() < 0.8


def test_a_recipe_can_know_the_config_without_torch() -> None:
    code = "import sys; from tilewise.training.pretrain import PretrainConfig; PretrainConfig(method='simclr'); "
    done = subprocess.run(
        [sys.executable, "-c", code + "print('torch' in sys.modules)"], check=True, capture_output=True
    )
    assert done.stdout.strip() == b"False"
