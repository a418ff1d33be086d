"""Every option of training by its key in a recipe: it is run, and it does something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import yaml

from tests.models.networks.made import small_network
from tests.training.networks.drawn import cnn, draw_data
from tilewise.models import HeadConfig
from tilewise.training.augment import AugmentConfig
from tilewise.training.networks.data import PixelData
from tilewise.training.networks.train import train_network
from tilewise.training_config.training import TrainingConfig

MIXED = "training.mixup.level=tiles"
SLIDE = "training.sampling.unit=slide"
RARE = "training.sampling.balance=rare"
MLP = "head.kind=mlp"
KINDS = ("restarts", "plateau", "one_cycle", "constant")
# What is set; the last one has to change what is learnt under the others.
OPTIONS: list[tuple[str, ...]] = [
    (MLP,),
    (MLP, "head.activation=silu"),
    (MLP, "head.hidden_sizes=[8, 8]"),
    *[(MLP, f"head.norm={norm}") for norm in ("batch", "layer", "group")],
    ("head.norm=batch",),
    ("head.dropout=0.3",),
    ("network.trained=last",),
    ("network.trained=last", "network.last_blocks=2"),
    ("network.trained=last", "network.last_blocks=2", "network.layer_decay=0.5"),
    ("network.trained=progressive",),
    ("network.trained=progressive", "network.epochs_per_stage=1"),
    ("network.trained=progressive", "network.epochs_per_stage=1", "network.blocks_per_stage=1"),
    ("network.trained=frozen",),
    ("network.layer_decay=0.5",),
    ("network.input=mask_channel",),
    ("network.input=mask_channel", "network.mask_weights=mean"),
    ("network.input=dual_branch",),
    ("network.input=dual_stream",),
    ("network.input=dual_stream", "network.streams=separate"),
    ("network.input=multi_scale",),
    *[(f"training.loss.class_weights={rule}",) for rule in ("none", "sqrt", "effective")],
    ("training.loss.class_weights=effective", "training.loss.effective_beta=0.5"),
    ("training.loss.label_smoothing=0.1",),
    ("training.loss.kind=focal",),
    ("training.loss.kind=focal", "training.loss.focal_gamma=1"),
    ("training.loss.l1=0.01",),
    ("training.loss.l2=0.01",),
    *[(f"training.optimizer.kind={kind}",) for kind in ("adam", "sgd", "lion", "radam", "ranger")],
    ("training.optimizer.kind=ranger", "training.optimizer.lookahead_steps=2"),
    ("training.optimizer.kind=sgd", "training.optimizer.momentum=0"),
    ("training.optimizer.betas=[0.8, 0.9]",),
    ("training.weight_decay=1.0",),
    *[(f"training.schedule.kind={kind}",) for kind in KINDS],
    *[(f"training.schedule.kind={kind}", "training.schedule.warmup_epochs=1") for kind in ("cosine", *KINDS)],
    ("training.schedule.least_share=0.5",),
    ("training.step.accumulate=2",),
    ("training.step.clip_norm=0.01",),
    ("training.step.precision=bfloat16",),
    ("training.step.ema_decay=0.5",),
    ("augment.horizontal_flip=1",),
    ("augment.vertical_flip=1",),
    ("augment.quarter_turn=1",),
    ("augment.affine.probability=1",),
    ("augment.affine.probability=1", "augment.affine.translation=0.2"),
    ("augment.affine.probability=1", "augment.affine.scale=[0.8, 1.2]"),
    ("augment.elastic.probability=1",),
    *[(f"augment.policy.kind={kind}",) for kind in ("rand_augment", "trivial_augment", "aug_mix")],
    ("augment.policy.kind=rand_augment", "augment.policy.magnitude=15"),
    ("augment.color.probability=1",),
    ("augment.color.probability=1", "augment.color.probability=0.5"),
    ("augment.hed.probability=1",),
    ("augment.blur.probability=1",),
    (MIXED,),
    (MIXED, "training.mixup.cutmix_alpha=1"),
    (MIXED, "training.mixup.cutmix_alpha=1", "training.mixup.mixup_alpha=0"),
    (MIXED, "training.mixup.probability=0.5"),
    ("training.mixup.level=features",),
    (SLIDE,),
    (SLIDE, "training.sampling.tiles_per_slide=2"),
    ("training.sampling.balance=class",),
    (SLIDE, "training.sampling.balance=class"),
    (RARE,),
    (RARE, "training.sampling.rare_power=0.5"),
    ("training.weight=tile",),
    ("training.batch_size=4",),
]
_FAST = {
    "input": "tiles",
    "epochs": 4,
    "batch_size": 8,
    "learning_rate": 3e-3,
    "num_threads": 1,
    "patience": "never",
    "engine": {"device": "cpu"},
}


def sections(settings: tuple[str, ...]) -> dict[str, Any]:
    """What `--set` makes of them, section by section."""
    recipe: dict[str, Any] = {"head": {}, "network": {}, "augment": {}, "training": dict(_FAST)}
    for setting in settings:
        key, _, value = setting.partition("=")
        *path, name = key.split(".")
        inner = recipe
        for step in path:
            inner = inner.setdefault(step, {})
        inner[name] = yaml.safe_load(value)
    return recipe


def unbalanced(**options: Any) -> PixelData:
    """Six slides of A and two of B with two tiles or four."""
    data, _, _ = draw_data(8, 2, num_tiles=3, **options)
    slide_data = replace(data.train.slide_data, labels_S=np.array([0, 1, 0, 0, 0, 1, 0, 0]))
    rows = np.flatnonzero((slide_data.tile_slide_N % 2 == 0) | (data.train.place_N < 2))
    slide_data = replace(
        slide_data, features_ND=slide_data.features_ND[rows], tile_slide_N=slide_data.tile_slide_N[rows]
    )
    return replace(data, train=replace(data.train, slide_data=slide_data, place_N=data.train.place_N[rows]))


@cache
def learnt(settings: tuple[str, ...]) -> Mapping[str, bytes]:
    recipe = sections(settings)
    network_input = recipe["network"].get("input", "image")
    data = unbalanced(fields=2 if network_input == "multi_scale" else 1, has_wide=network_input == "dual_stream")
    network = cnn(HeadConfig.model_validate(recipe["head"]), width=8, **recipe["network"])
    training, augment = (
        TrainingConfig.model_validate(recipe["training"]),
        AugmentConfig.model_validate(recipe["augment"]),
    )
    model, history = train_network(network, data, training, augment, seed=0)
    assert len(history.rows) == 4
    assert all(np.isfinite([row.train_loss, row.validation_loss or np.nan]).all() for row in history.rows)
    return {name: array.tobytes() for name, array in model.weights.items()}


@pytest.mark.parametrize("settings", OPTIONS, ids=" ".join)
def test_it_changes_what_is_learnt(settings: tuple[str, ...]) -> None:
    assert learnt(settings) != learnt(settings[:-1])


@pytest.mark.parametrize("family", ["simple_cnn", "vgg", "vit"])
def test_the_mean_of_the_last_feature_map_is_trained(family: str) -> None:
    network = small_network(family, pooling="average")
    data, _, _ = draw_data(4, 2, num_tiles=2, side=network.card.input_px)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    training = TrainingConfig.model_validate(_FAST | {"epochs": 2})
    _, history = train_network(network, data, training, seed=0)
    assert np.isfinite(history.rows[-1].train_loss)
    moved = {name for name, tensor in network.state_dict().items() if not tensor.equal(before[name])}
    assert moved >= {name for name, _ in network.named_parameters()}
