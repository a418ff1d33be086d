"""Networks trained from scratch learn what there is to see."""

import pytest

from tilewise import api
from tilewise.recipe import load_recipe

pytestmark = pytest.mark.soak

FROM_SCRATCH = (
    "training.input=tiles", "encoder.name=simple_cnn", "encoder.init=random", "network.trained=all",
    "network.input_px=64", "training.learning_rate=0.003", "training.patience=never",
    "augment.horizontal_flip=0.5", "augment.quarter_turn=0.75", "folds.num_folds=3",
)  # fmt: skip


def trained(tmp_path, name, *settings):
    run = api.train(tmp_path / "cohort", load_recipe("texture", (*FROM_SCRATCH, *settings)), out=tmp_path / name)
    return run.evaluation


def test_a_small_network_beats_both_baselines_with_intervals_apart(tmp_path):
    classes = {"A": 1.0, "B": 1.0}
    api.synth(tmp_path / "cohort", {"num_slides": 160, "min_side_px": 256, "difficulty": 0.0, "classes": classes})
    settings = ("tiles.size_px=64", "tiles.stride_px=64", "tiles.max_tiles=12", "training.epochs=20")
    evaluation = trained(tmp_path, "run", *settings)
    score = evaluation.macro_f1
    for baseline in (evaluation.out_of_fold.baselines.commonest, evaluation.out_of_fold.baselines.random):
        assert score.low > baseline.macro_f1.high


def test_a_signal_in_the_masks_shape_is_seen_by_the_mask_branch_and_not_by_the_image_alone(tmp_path):
    classes = {"A": 1.0, "B": 1.0}
    cohort = {"num_slides": 240, "min_side_px": 256, "difficulty": 0.0, "classes": classes, "signal": "mask_shape"}
    api.synth(tmp_path / "cohort", cohort)
    settings = (
        "tiles.strategy=component_box", "tiles.stride_px=null", "tiles.size_px=64", "tiles.component_box_min=12",
        "tiles.min_component_px=30", "augment.vertical_flip=0.5", "folds.num_folds=2", "training.epochs=20",
    )  # fmt: skip
    with_mask = trained(tmp_path, "mask", *settings, "network.input=dual_branch")
    image_alone = trained(tmp_path, "image", *settings, "network.input=image")
    score, alone = with_mask.macro_f1, image_alone.macro_f1
    for baseline in (with_mask.out_of_fold.baselines.commonest, with_mask.out_of_fold.baselines.random):
        assert score.low > baseline.macro_f1.high
        assert alone.low <= baseline.macro_f1.high
    assert alone.high < score.low
