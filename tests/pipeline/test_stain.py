"""Runs that normalise stains: to what, seen by whom, and what is said of slides that keep their own."""

import csv
import json

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.drawn import recipe
from tests.stain.conftest import draw
from tilewise import api
from tilewise.cohort import Cohort
from tilewise.errors import UsageError
from tilewise.inference.classifier import ClassifierBundle
from tilewise.pipeline import tile_preparer
from tilewise.slides import open_slide
from tilewise.stain import STANDARD, StainRecord, fit_profiles, fit_slide, median_profile

OTHER = ((0.62, 0.70, 0.30), (0.30, 0.88, 0.30))
BROWN = ((0.65, 0.70, 0.29), (0.27, 0.57, 0.78))
NUM, ODD = 12, "img_0005.png"
AS_THEY_ARE = ("audit.not_histology=keep", "audit.copies=keep", "audit.quality=keep", "audit.ink=keep")


def write(folder, number, **look):
    rgb, tissue = draw(seed=number, side=128, **look)
    cv2.imwrite(str(folder / "images" / f"img_{number:04d}.png"), rgb[:, :, ::-1])
    tissue[: 20 + 5 * (number % 4), : 30 + 9 * (number // 4)] = False  # a mask of its own: shared ones make a group
    cv2.imwrite(str(folder / "masks" / f"mask_{number:04d}.png"), tissue.astype(np.uint8) * 255)


def fill(folder):
    """Two laboratories, two amounts of dye for two classes, and one slide with a brown chromogen."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(NUM):
        dyes = {"dyes": OTHER} if number % 4 > 1 else {}
        write(folder, number, amount=0.9 + 0.2 * (number % 2), **dyes)
    write(folder, int(ODD[4:8]), dyes=BROWN)
    with (folder / "labels.csv").open("w", newline="") as stream:
        rows = [[f"img_{number:04d}.png", "AB"[number % 2]] for number in range(NUM)]
        csv.writer(stream).writerows([["sample_index", "label"], *rows])
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("stained")
    fill(home / "cohort")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILEWISE_CACHE", str(home / "cache"))
        for name, settings in {
            "standard": ("stain.method=macenko",),
            "median": ("stain={method: reinhard, target: median}", "folds.holdout_fraction=0.25"),
        }.items():
            train(home / "cohort", home / name, *settings)
    return home


@pytest.fixture(autouse=True)
def cache(home, monkeypatch):
    monkeypatch.setenv("TILEWISE_CACHE", str(home / "cache"))


def train(cohort, out, *settings):
    return api.train(Cohort.discover(cohort), recipe(*AS_THEY_ARE, *settings), out=out, workers=1)


def profiles_of(cohort, names):
    prediction = []
    for name in names:
        with open_slide(cohort / "images" / name) as reader:
            prediction.append(fit_slide(reader, "reinhard"))
    return prediction


def test_the_slide_that_is_not_believed_is_named_everywhere_and_the_others_are_not(home):
    record = StainRecord.read(home / "standard/stain.json")
    assert record.unnormalised.keys() == {ODD}
    assert "out of range" in record.unnormalised[ODD]
    assert record.num_slides == NUM
    again = train(home / "cohort", home / "standard", "stain.method=macenko")
    assert again.was_finished
    assert record.sentence() in again.warnings
    report = (home / "standard/report.html").read_text("utf-8")
    assert "1 of 12 slides keeps its own colours" in report
    assert ODD in report
    assert "stain.json" in json.loads((home / "standard/manifest.json").read_text())["files"]


def test_new_slides_are_brought_to_the_target_of_training_and_the_odd_one_is_told(home):
    classifier = ClassifierBundle.load(home / "standard/model")
    assert classifier.targets == (STANDARD,)
    result = api.predict(home / "standard", Cohort.discover(home / "cohort", purpose="predict"), workers=1)
    warned = result.table.set_index("slide")["warnings"].str.contains("stain not normalised: ")
    assert warned[warned].index.tolist() == [ODD]


def test_what_two_laboratories_stain_alike_looks_alike_after_it(home, tmp_path):
    """The same tissue in two stains: a model of normalised slides gives it nearly the same probabilities."""
    (tmp_path / "new/images").mkdir(parents=True)
    (tmp_path / "new/masks").mkdir()
    for number, look in enumerate(({}, {"dyes": OTHER})):
        rgb, tissue = draw(seed=77, side=128, **look)
        cv2.imwrite(str(tmp_path / f"new/images/img_{number:04d}.png"), rgb[:, :, ::-1])
        cv2.imwrite(str(tmp_path / f"new/masks/mask_{number:04d}.png"), tissue.astype(np.uint8) * 255)
    train(home / "cohort", tmp_path / "plain")
    apart = {}
    for run in (home / "standard", tmp_path / "plain"):
        table = api.predict(run, Cohort.discover(tmp_path / "new", purpose="predict"), workers=1).table
        apart[run.name] = abs(np.diff(table["p_A"])).item()
    assert apart["standard"] < 0.5 * apart["plain"]


def test_the_median_of_each_fold_is_that_of_its_train_part_alone(home):
    folds = json.loads((home / "median/folds.json").read_text())
    targets = ClassifierBundle.load(home / "median/model").targets
    assert len(targets) == len(folds["folds"]) == 3
    assert len(set(targets)) == 3
    for fold, target in zip(folds["folds"], targets, strict=True):
        names = [name for name in fold["train"] if name != ODD]
        assert target == median_profile(profiles_of(home / "cohort", names))


def test_no_model_depends_on_the_stain_of_the_part_it_is_scored_on(home, tmp_path):
    """Slides that a fold is tested on, and the hold-out, are stained otherwise: its model stays as it was."""
    folds = json.loads((home / "median/folds.json").read_text())
    cohort = fill(tmp_path / "cohort")
    hidden = {*folds["holdout"], *folds["folds"][0]["test"]}
    for name in hidden:
        write(cohort, int(name[4:8]), amount=1.4, dyes=OTHER)
    train(cohort, tmp_path / "run", "stain={method: reinhard, target: median}", "folds.holdout_fraction=0.25")
    assert json.loads((tmp_path / "run/folds.json").read_text())["folds"] == folds["folds"]
    same = [
        (home / "median" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
        for name in (f"folds/{number}/model.safetensors" for number in range(3))
    ]
    assert same == [True, False, False]


def test_with_a_target_for_each_fold_the_holdout_is_still_scored_by_what_is_deployed(home):
    table = pd.read_parquet(home / "median/predictions.parquet").query("part == 'holdout'").set_index("slide")
    deployed = api.predict(home / "median", Cohort.discover(home / "cohort", purpose="predict"), workers=1).table
    deployed = deployed.set_index("slide").loc[table.index]
    for column in ("p_A", "p_B"):
        np.testing.assert_array_equal(deployed[column], table[column])


def test_a_slide_or_a_stored_profile_can_be_the_target_and_travels_with_the_classifier(home, tmp_path):
    picture = home / "cohort/images/img_0002.png"
    (profile,) = profiles_of(home / "cohort", ["img_0002.png"])
    profile.write(tmp_path / "profile.json")
    for number, path in enumerate((picture, tmp_path / "profile.json")):
        train(home / "cohort", tmp_path / str(number), f"stain={{method: reinhard, target: {path}}}")
    (tmp_path / "profile.json").unlink()
    slides = Cohort.discover(home / "cohort", purpose="predict")
    first, second = (api.predict(tmp_path / name, slides, workers=1).table for name in "01")
    assert ClassifierBundle.load(tmp_path / "1/model").targets == (profile,)
    pd.testing.assert_frame_equal(first, second)
    finished = train(home / "cohort", tmp_path / "1", f"stain={{method: reinhard, target: {tmp_path}/profile.json}}")
    assert finished.was_finished, "what is finished needs its target no more"


def test_a_target_that_is_not_there_is_refused_before_anything_is_made(home, tmp_path):
    with pytest.raises(UsageError, match=r"standrad is no file; give `standard`"):
        train(home / "cohort", tmp_path / "run", "stain={method: macenko, target: standrad}")
    assert not (tmp_path / "run").exists()


def test_tile_by_tile_the_tiles_that_keep_their_colours_are_counted(home, tmp_path):
    settings = ("stain={method: macenko, per: tile, trust: {min_pixels: 300}}", "tiles.size_px=48")
    run = train(home / "cohort", tmp_path / "run", *settings)
    unnormalised = StainRecord.read(run.folder.stain).unnormalised
    assert ODD in unnormalised
    assert " tiles" in unnormalised[ODD]
    assert any("own colours" in warning for warning in run.warnings)
    result = api.predict(run, Cohort.discover(home / "cohort", purpose="predict"), workers=1)
    assert f"stain not normalised: {unnormalised[ODD]}" in result.table.set_index("slide").loc[ODD, "warnings"]


def test_a_slide_that_is_lost_on_the_way_to_its_stain_takes_no_part(home, tmp_path, monkeypatch):
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "cache"))
    original = fit_profiles.fit_slide

    def fail_one(reader, method):
        if reader.path.name == "img_0003.png":
            raise OSError("the disk went away")
        return original(reader, method)

    monkeypatch.setattr(fit_profiles, "fit_slide", fail_one)
    run = train(home / "cohort", tmp_path / "run", "stain={method: macenko, target: median}")
    assert [(failure.item, failure.stage) for failure in run.failures] == [("img_0003.png", "stain")]
    assert "img_0003.png" not in json.loads((tmp_path / "run/folds.json").read_text())["slides"]
    assert run.evaluation.out_of_fold.num_slides == NUM - 1


def test_without_a_method_no_stain_is_fitted_or_written(home, tmp_path, monkeypatch):
    def never(*_, **__):
        raise AssertionError("nothing was to be fitted")

    monkeypatch.setattr(tile_preparer, "fit_profiles", never)
    train(home / "cohort", tmp_path / "run")
    assert not (tmp_path / "run/stain.json").exists()
    assert ClassifierBundle.load(tmp_path / "run/model").targets == ()
