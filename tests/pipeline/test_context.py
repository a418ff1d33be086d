"""What stands beside the tiles inside a mask: cut, encoded, learnt from, resumed, deployed and explained."""

import csv
import json

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.pipeline.conftest import train
from tilewise import api
from tilewise.cohort import Cohort
from tilewise.errors import RecipeError, UsageError
from tilewise.explain.config import ExplainConfig
from tilewise.inference.classifier import ClassifierBundle
from tilewise.recipe import load_recipe
from tilewise.tiles.tileset import TileSet

LDA = ("head.kind=lda", "training.epochs=null")
CONTEXT = (*LDA, "features.context=outside_and_difference", "features.context_shape=true")
FILES = (
    "predictions.parquet",
    "evaluation.json",
    "model/classifier.json",
    "folds/0/model.json",
    "tiles-outside.parquet",
)


def draw(folder, name, number, *, klass, mask=True):
    """Tissue that is alike under the mask; how red it is beside the mask tells the class."""
    rng = np.random.default_rng(number)
    pixels = np.full((128, 192, 3), 238, np.uint8)
    top, left, right = rng.integers((8, 8, 150), (24, 24, 184)).tolist()
    # Clouds of its own, so that no two slides look like sections of one specimen.
    clouds = cv2.resize(rng.normal(0.0, 25.0, (9, 13)), (192, 128), interpolation=cv2.INTER_CUBIC)[..., None]
    colors = np.where(np.arange(192)[:, None] < 100, (190, 120, 180), (190, 110 + 50 * klass, 180))
    tissue = (rng.normal(colors, 12.0, (128, 192, 3)) + clouds).clip(0, 225)
    pixels[top:112, left:right] = tissue[top:112, left:right]
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / f"images/img_{name}.png"), pixels)
    if mask:
        region = np.zeros((128, 192), np.uint8)
        region[top:112, left:88] = 255
        cv2.imwrite(str(folder / f"masks/mask_{name}.png"), region)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    labels = []
    for number in range(20):
        name, klass = f"{number:04d}", number % 2
        draw(home / "cohort", name, number, klass=klass, mask=number < 18)
        labels.append([f"img_{name}.png", "AB"[klass]])
    with (home / "cohort/labels.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["sample_index", "label"], *labels])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILEWISE_CACHE", str(home / "cache"))
        train(home / "cohort", home / "without", *LDA)
        run = train(home / "cohort", home / "run", *CONTEXT)
        (home / "warnings.json").write_text(json.dumps(run.warnings))
        yield home


def accuracy(run):
    table = pd.read_parquet(run / "predictions.parquet")
    tested = table[(table["part"] == "test") & ~table["slide"].isin(["img_0018.png", "img_0019.png"])]
    return (tested["predicted"] == tested["label"]).mean()


def test_what_is_told_beside_the_mask_alone_is_learnt(home):
    assert accuracy(home / "without") < 0.8
    assert accuracy(home / "run") > 0.9
    member = ClassifierBundle.load(home / "run/model").members[0]
    assert member.num_context == 1 + 2 * member.num_features + 7
    assert len(member.standardisation.mean_D) == member.num_features + member.num_context


def test_tiles_outside_lie_on_tissue_beside_the_masks_of_slides_that_have_one(home):
    outside = TileSet.read(home / "run/tiles-outside.parquet")[0]
    assert set(outside.table["slide"]) == {f"img_{number:04d}.png" for number in range(18)}
    assert set(outside.table["region"]) == {"outside"}
    assert (outside.table["x"] + outside.table["width"] / 2 > 80).all()
    assert not (home / "without/tiles-outside.parquet").exists()
    sentence = (
        "2 of 20 slides have no tissue outside a usable mask: features.context=outside_and_difference says nothing"
    )
    assert any(sentence in warning for warning in json.loads((home / "warnings.json").read_text()))


def test_it_is_resumed_without_being_fitted_again(home):
    run = home / "run"
    whole = {name: (run / name).read_bytes() for name in FILES}
    for name in ("manifest.json", "predictions.parquet", "folds/1/model.json"):
        (run / name).unlink()
    modified_ns = (run / "folds/0/model.safetensors").stat().st_mtime_ns
    train(home / "cohort", run, *CONTEXT)
    assert {name: (run / name).read_bytes() for name in FILES} == whole
    assert (run / "folds/0/model.safetensors").stat().st_mtime_ns == modified_ns


def test_new_slides_are_predicted_by_what_stands_beside_and_one_without_is_warned_of(home, tmp_path):
    for number in range(4):
        draw(tmp_path / "new", f"{number:04d}", 50 + number, klass=number % 2, mask=number < 3)
    table = api.predict(home / "run", Cohort.discover(tmp_path / "new", purpose="predict"), workers=1).table
    assert table["predicted"].tolist()[:3] == ["A", "B", "A"]
    has_warning = table["warnings"].str.contains("no tissue outside a usable mask")
    assert has_warning.tolist() == [False, False, False, True]
    assert np.isfinite(table[["p_A", "p_B"]].to_numpy()).all()


def test_maps_are_drawn_of_the_tiles_inside(home, tmp_path):
    result = api.explain(home / "run", home / "cohort", out=tmp_path / "maps", config=ExplainConfig(limit=1), workers=1)
    with result.table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert all(int(row["x"]) + int(row["width"]) <= 128 for row in rows)
    assert "What stands beside the tiles" in result.page.read_text("utf-8")


def test_features_of_a_cohort_are_those_of_its_tiles_alone(home):
    recipe = load_recipe("texture", ["tiles.size_px=32", "tiles.stride_px=null", *CONTEXT])
    with pytest.raises(UsageError, match="describe slides, and bags hold tiles; leave them out"):
        api.features(home / "cohort", recipe)
    features = api.features(home / "cohort", recipe.with_(**{"features.context": None, "features.context_shape": None}))
    assert {bag.shape[1] for bag in features.bags} == {
        ClassifierBundle.load(home / "run/model").members[0].num_features
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["features.context=outside"], "head.aggregate=mean takes none; set head.aggregate=feature_mean"),
        (["features.context_shape=true"], "head.aggregate=mean takes none; set head.aggregate=feature_mean"),
        ([*LDA, "features.context=outside", "tiles.strategy=grid"], "tiles.strategy=grid is not cut by the mask"),
        (["features.context=outside", "training.input=tiles"], "`features` has no effect with training.input=tiles"),
    ],
)
def test_what_cannot_be_asked_is_refused(options, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("texture", options)
