"""What a recipe may ask of a network, and what is refused before any long work."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tilewise.encoders import EncoderConfig
from tilewise.errors import RecipeError
from tilewise.models import HeadConfig
from tilewise.models.networks import NetworkConfig, build_network, check_network, num_trained_blocks, rate_factors


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"last_blocks": 2}, "last_blocks"),
        ({"trained": "all", "last_blocks": 2}, "last_blocks"),
        ({"trained": "last", "blocks_per_stage": 1}, "blocks_per_stage"),
        ({"trained": "all", "epochs_per_stage": 1}, "epochs_per_stage"),
        ({"layer_decay": 0.5}, "layer_decay"),
        ({"blocks": "fine"}, "blocks"),
        ({"mask_weights": "mean"}, "mask_weights"),
        ({"input": "mask_channel", "mask_encoder": "resnet18"}, "mask_encoder"),
        ({"input": "mask_channel", "mask_init": "pretrained"}, "mask_init"),
        ({"input": "dual_branch", "streams": "separate"}, "streams"),
        ({"input": "dual_stream", "num_fields": 3}, "num_fields"),
    ],
)
def test_a_key_that_would_change_nothing_is_refused(config: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=rf"network\.{named} has no effect"):
        NetworkConfig.model_validate(config)


def test_fields_of_one_place_are_not_cropped_apart() -> None:
    with pytest.raises(ValidationError, match=r"network\.crop_px would tear the fields of one place apart"):
        NetworkConfig.model_validate({"input": "multi_scale", "crop_px": 64})


@pytest.mark.parametrize("config", [{"trained": "some"}, {"input_px": 8}, {"layer_decay": 0.0}, {"depth": 3}])
def test_values_that_make_no_network_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NetworkConfig.model_validate(config)


def test_a_config_survives_its_own_dump() -> None:
    for config in (NetworkConfig(), NetworkConfig(trained="last", last_blocks=3), NetworkConfig(input="dual_stream")):
        assert NetworkConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("config", [{"trained": "all"}, {"input": "mask_channel"}, {}])
def test_texture_is_refused_as_a_network(config: dict[str, Any]) -> None:
    network = NetworkConfig.model_validate(config)
    with pytest.raises(RecipeError, match=r"encoder.name: texture is computed.* choose a network"):
        build_network(network, EncoderConfig(), HeadConfig(), num_classes=2, seed=0)
    with pytest.raises(RecipeError, match=r"network\.mask_encoder: texture"):
        check_network(
            NetworkConfig(input="dual_branch", mask_encoder="texture"), EncoderConfig(name="resnet18", init="random")
        )


def test_keys_of_cached_features_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"encoder\.engine and encoder\.batch_size"):
        check_network(NetworkConfig(), EncoderConfig(name="resnet18", engine="torch", batch_size=3))


@pytest.mark.parametrize("pooling", ["average", "flatten"])
def test_two_ways_of_pooling_are_refused(pooling: str) -> None:
    network = NetworkConfig.model_validate({"pooling": pooling})
    with pytest.raises(
        RecipeError, match=r"network\.pooling: .* set network\.pooling=encoder, or encoder\.pooling=last"
    ):
        check_network(network, EncoderConfig(name="resnet18", pooling="stages"))


def test_more_blocks_than_there_are_is_refused() -> None:
    encoder = EncoderConfig(name="simple_cnn", init="random")
    with pytest.raises(RecipeError, match="simple_cnn has 4 blocks"):
        build_network(NetworkConfig(trained="last", last_blocks=5), encoder, HeadConfig(), num_classes=2, seed=0)


def test_a_transformer_names_the_next_side_it_can_take() -> None:
    encoder = EncoderConfig(name="dinov2_vits14", init="random")
    with pytest.raises(RecipeError, match=r"squares of 14 px.*network.input_px=42"):
        build_network(NetworkConfig(input_px=32), encoder, HeadConfig(), num_classes=2, seed=0)


def test_the_config_and_its_check_import_no_torch() -> None:
    code = (
        "import sys; from tilewise.encoders import EncoderConfig\n"
        "from tilewise.models.networks import NetworkConfig, check_network\n"
        "check_network(NetworkConfig(trained='all'), EncoderConfig(name='resnet18'))\n"
        "print(*sorted({'torch', 'timm', 'numpy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


def test_system_e_trains_two_more_blocks_every_twenty_epochs() -> None:
    config = NetworkConfig(trained="progressive")
    epochs = [0, 19, 20, 39, 40, 59, 60, 500]
    assert [num_trained_blocks(config, epoch, 5) for epoch in epochs] == [0, 0, 2, 2, 4, 4, 5, 5]


@given(st.integers(0, 300), st.integers(1, 40), st.integers(1, 9), st.integers(1, 30))
def test_progress_never_goes_back_and_ends_with_all(epoch: int, num_blocks: int, step: int, stage: int) -> None:
    config = NetworkConfig(trained="progressive", blocks_per_stage=step, epochs_per_stage=stage)
    now, later = (num_trained_blocks(config, one, num_blocks) for one in (epoch, epoch + stage))
    assert 0 <= now <= num_blocks
    assert later == min(now + step, num_blocks)
    assert num_trained_blocks(config, stage * num_blocks, num_blocks) == num_blocks
    assert num_trained_blocks(config, stage - 1, num_blocks) == 0


@given(st.integers(0, 300), st.integers(1, 40), st.integers(0, 50))
def test_other_ways_do_not_depend_on_the_epoch(epoch: int, num_blocks: int, last: int) -> None:
    assert num_trained_blocks(NetworkConfig(), epoch, num_blocks) == 0
    assert num_trained_blocks(NetworkConfig(trained="all"), epoch, num_blocks) == num_blocks
    assert num_trained_blocks(NetworkConfig(trained="last", last_blocks=last), epoch, num_blocks) == min(
        last, num_blocks
    )


def test_rates_fall_by_one_factor_a_block() -> None:
    assert rate_factors(3, 0.5) == [0.125, 0.25, 0.5, 1.0]
    assert rate_factors(4, 1.0) == [1.0] * 5
