"""The five systems, small: from a cohort to a run, a submission and a report, each still the system that it is."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from tests.one_thread import one_thread  # noqa: F401 - used by every test here
from tests.recipes.shrunk import SYSTEMS, link_slides, shrink, smallest_networks  # noqa: F401 - a fixture
from tilewise import api
from tilewise.folds import derived_seed
from tilewise.models.networks import build_network
from tilewise.recipe import load_recipe
from tilewise.store import verify

pytestmark = [pytest.mark.shared_cache, pytest.mark.usefixtures("smallest_networks")]

# What a test may change: how large, how many, how long, and that weights are drawn.
SIZES = {
    "encoder.init", "network.mask_init", "network.input_px", "network.epochs_per_stage", "tiles.size_px",
    "tiles.max_tiles", "tiles.random_views_num", "tiles.component_box_min", "segment.unet.input_px",
    "segment.unet.epochs", "folds.num_folds", "ensemble.num_members", "training.epochs", "training.num_threads",
    "training.batch_size", "evaluation.num_resamples",
}  # fmt: skip


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "cohort"
    api.synth(folder, {"num_slides": 16, "num_test_slides": 2, "min_side_px": 256}, workers=1)
    return folder


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_small_one_differs_in_sizes_alone(name):
    def leaves(data, prefix=""):
        for key, value in data.items():
            if isinstance(value, dict):
                yield from leaves(value, f"{prefix}{key}.")
            else:
                yield prefix + key, value

    whole, small = (dict(leaves(one.model_dump(by_alias=True))) for one in (load_recipe(name), shrink(name)))
    changed = {key for key in whole if whole[key] != small[key]}
    assert changed <= SIZES
    assert {"encoder.init", "training.epochs"} <= changed


@pytest.mark.parametrize("name", SYSTEMS)
def test_each_system_runs_from_a_cohort_to_a_submission(name, drawn, tmp_path):
    run = api.train(drawn, shrink(name), out=tmp_path / "run", workers=1)
    assert run.failures == ()
    assert verify(run.folder.root) == []
    table = run.predictions.table
    tested = table[table["part"].isin(["test", "holdout"])]
    assert tested["slide"].is_unique
    assert np.allclose(table.filter(like="p_").sum(axis=1), 1.0)
    result = api.predict(run, drawn, out=tmp_path / "submission.csv", workers=1)
    assert len(pd.read_csv(tmp_path / "submission.csv")) == 2
    assert result.unclassified() == ()
    report = api.report(run.folder.root).read_text("utf-8")
    assert name in report
    _CHARACTER[name](run.folder, shrink(name), run.classifier())


# One in the ordinary checks; the others repeat it in `make soak`.
REAL = [pytest.param(name, marks=[] if name == "component-box-convnext" else [pytest.mark.soak]) for name in SYSTEMS]


@pytest.mark.parametrize("name", REAL)
def test_each_system_runs_on_real_slides(name, data_dir, tmp_path):
    cohort = link_slides(data_dir / "osteosarcoma", tmp_path / "cohort", list(range(12)))
    run = api.train(cohort, shrink(name), out=tmp_path / "run", workers=1)
    assert run.failures == ()
    assert set(run.classifier().classes) == {"Non-Tumor", "Viable", "Non-Viable-Tumor"}
    new = tmp_path / "new"
    new.mkdir()
    for number in range(16, 18):
        (new / f"img_{number:04d}.png").symlink_to(data_dir / "osteosarcoma" / "images" / f"img_{number:04d}.png")
    assert len(api.predict(run, new, workers=1).table) == 2
    assert name in api.report(run.folder.root).read_text("utf-8")


def _window(folder, recipe, classifier):
    assert _learnt(folder, recipe) == set()


def _views(folder, recipe, classifier):
    tiles = pd.read_parquet(folder.tiles)
    assert set(tiles["strategy"]) == {"random_views"}
    assert (tiles.groupby("slide").size() == 2).all()
    assert {".blocks.0." in key for key in _learnt(folder, recipe)} == {True, False}


def _dual(folder, recipe, classifier):
    assert (pd.read_parquet(folder.tiles).groupby("slide").size() == 1).all()
    assert json.loads(folder.folds.read_text("utf-8"))["holdout"]
    assert max(classifier.weights) == 1.0  # the best fold alone is deployed
    assert {key.partition(".")[0] for key in _learnt(folder, recipe)} == {"encoder", "mask_encoder"}


def _adaptive(folder, recipe, classifier):
    assert folder.segment.is_dir()
    assert classifier.segmenter is not None
    assert set(pd.read_parquet(folder.tiles)["strategy"]) == {"component_center"}
    learnt = _learnt(folder, recipe)
    assert learnt
    assert all("layer4" in key for key in learnt)


def _box(folder, recipe, classifier):
    assert set(pd.read_parquet(folder.tiles)["strategy"]) == {"component_box"}
    learnt = _learnt(folder, recipe)
    # The first of two epochs trains the head alone, the second the last two blocks.
    assert learnt
    assert all("stages.3" in key or "stages.2" in key or "norm" in key for key in learnt)


_CHARACTER = {
    "window-resnet50": _window,
    "ten-view-phikon": _views,
    "dual-branch-convnext": _dual,
    "adaptive-patch-resnet50": _adaptive,
    "component-box-convnext": _box,
}


def _learnt(folder, recipe):
    """Names of the weights that fold 0 changed, the head's left out."""
    from safetensors.torch import load_file

    after = load_file(folder.fold(0) / "model.safetensors")
    network = build_network(recipe.network, recipe.encoder, recipe.head, num_classes=4, seed=derived_seed(0, 0))
    before = dict(network.named_parameters())
    return {key for key in before if not key.startswith("head") and not torch.equal(before[key], after[key])}
