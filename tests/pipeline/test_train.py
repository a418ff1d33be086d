"""The stages in their order: what the hold-out is, what resuming gives, what the command line and Python share."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from tests.drawn import SETTINGS, draw_cohort, recipe
from tests.pipeline.conftest import train
from tilewise import api
from tilewise.auditing.table import read_slides
from tilewise.cli.main import run as command
from tilewise.cohort import Cohort
from tilewise.errors import UsageError
from tilewise.extraction import extract_features
from tilewise.inference.classifier import ClassifierBundle
from tilewise.pipeline import tile_preparer
from tilewise.pipeline import train as pipeline
from tilewise.training import fold as fold_training

HOLDOUT = "folds.holdout_fraction=0.25"
# The environment may differ between machines and lock and identity are no results.
SAME = ("predictions.parquet", "evaluation.json", "folds.json", "tiles.parquet", "report.html", "model/classifier.json")


@pytest.fixture
def copy(home, tmp_path, monkeypatch):
    """A copy of the finished run, and of the cache it filled."""
    shutil.copytree(home / "run", tmp_path / "run")
    shutil.copytree(home / "cache", tmp_path / "cache")
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "run"


def contents(run):
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_the_holdout_is_in_no_part_of_any_fold_and_in_no_training(home, monkeypatch, tmp_path):
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "cache"))
    trained = []
    original = fold_training.train_fold

    def spied(request, bags, *, out):
        trained.extend([*request.fold.train, *request.fold.validation])
        return original(request, bags, out=out)

    monkeypatch.setattr(fold_training, "train_fold", spied)
    train(home / "cohort", tmp_path / "run", HOLDOUT)
    folds = json.loads((tmp_path / "run/folds.json").read_text())
    assert len(folds["holdout"]) >= 4
    assert set(trained).isdisjoint(folds["holdout"])
    assert set(folds["holdout"]).isdisjoint(name for fold in folds["folds"] for part in fold.values() for name in part)
    classifier = ClassifierBundle.load(tmp_path / "run/model")
    assert set(classifier.training_slides.values()).isdisjoint(folds["holdout"])
    assert sum(classifier.label_counts.values()) == 18 - len(folds["holdout"])


def test_what_a_lone_model_was_tested_on_is_no_training_slide_and_its_score_is_the_one_shown(home, tmp_path):
    split = "folds={kind: holdout, test_fraction: 0.4, validation_fraction: 0.2}"
    run = train(home / "cohort", tmp_path / "run", split)
    (fold,) = json.loads((tmp_path / "run/folds.json").read_text())["folds"]
    classifier = ClassifierBundle.load(tmp_path / "run/model")
    assert set(classifier.training_slides.values()) == {*fold["train"], *fold["validation"]}
    assert sum(classifier.label_counts.values()) == len(fold["train"]) + len(fold["validation"])
    report = run.folder.report.read_text("utf-8")
    assert "uses the model that is scored here" in report
    assert "has no score of its own" not in report


def test_a_model_does_not_depend_on_the_holdout_or_on_its_own_test_part(home, tmp_path, monkeypatch):
    """Slides of the parts a score is reported on are turned into noise: the models stay the same, byte for byte."""
    folds = json.loads((home / "run/folds.json").read_text())
    hidden = {*folds["holdout"], *folds["folds"][0]["test"]}
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "cache"))
    original = extract_features.extract_features

    def with_noise(*arguments):
        bags, failures = original(*arguments)
        generator = np.random.default_rng(0)
        for name in hidden:
            bags[name].features_ND[:] = generator.normal(size=bags[name].features_ND.shape)
        return bags, failures

    monkeypatch.setattr(tile_preparer, "extract_features", with_noise)
    train(home / "cohort", tmp_path / "run", HOLDOUT)
    before, after = contents(home / "run"), contents(tmp_path / "run")
    assert before["folds/0/model.safetensors"] == after["folds/0/model.safetensors"]
    assert before["folds/1/model.safetensors"] != after["folds/1/model.safetensors"]


def test_the_holdout_is_scored_by_the_classifier_that_is_deployed(home, tmp_path, monkeypatch):
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "cache"))
    table = pd.read_parquet(home / "run/predictions.parquet").query("part == 'holdout'").set_index("slide")
    assert (table["fold"] == -1).all()
    result = api.predict(home / "run", Cohort.discover(home / "cohort", purpose="predict"), workers=1)
    deployed = result.table.set_index("slide").loc[table.index]
    for column in ("p_A", "p_B"):
        np.testing.assert_array_equal(deployed[column], table[column])
    scored = json.loads((home / "run/evaluation.json").read_text())["holdout"]
    assert scored["num_slides"] == len(table)
    assert scored["accuracy"]["value"] == pytest.approx((table["label"] == table["predicted"]).mean())
    assert not any("training slide" in text for text in deployed["warnings"]), "no fold has seen them"
    others = result.table[~result.table["slide"].isin(table.index)]
    assert others["warnings"].str.contains("training slide").all()


def test_folds_are_taken_from_the_tables_own_split(tmp_path):
    split = ["train"] * 8 + ["validation"] * 2 + ["test"] * 4 + ["holdout"] * 2
    cohort = draw_cohort(tmp_path / "cohort", num_slides=16, columns={"split": split, "age, years": ["7"] * 16})
    run = train(cohort, tmp_path / "run", "folds={source: split}")
    (fold,) = json.loads((tmp_path / "run/folds.json").read_text())["folds"]
    assert {part: len(names) for part, names in fold.items()} == {"train": 8, "validation": 2, "test": 4}
    assert run.evaluation.out_of_fold.num_slides == 4
    assert run.evaluation.holdout.num_slides == 2
    # A finished run is not lost to a label that changed since; one without its manifest goes on with the new label.
    table = (
        (cohort / "cohort.csv")
        .read_text()
        .replace("img_0012.png,masks/mask_0012.png,A", "img_0012.png,masks/mask_0012.png,B")
    )
    (cohort / "cohort.csv").write_text(table)
    before = (tmp_path / "run/predictions.parquet").read_bytes()
    with pytest.raises(UsageError, match=r"have changed since.*or delete that folder"):
        train(cohort, tmp_path / "run", "folds={source: split}")
    log = tmp_path / "run/review/decisions.sqlite"
    log.parent.mkdir()
    log.touch()
    with pytest.raises(UsageError, match=r"--decisions .*review/decisions\.sqlite; deleting"):
        train(cohort, tmp_path / "run", "folds={source: split}")
    assert (tmp_path / "run/predictions.parquet").read_bytes() == before
    (tmp_path / "run/manifest.json").unlink()
    again = train(cohort, tmp_path / "run", "folds={source: split}")
    assert json.loads((tmp_path / "run/folds.json").read_text())["slides"]["images/img_0012.png"]["label"] == "B"
    assert api.evaluate(tmp_path / "run") == again.evaluation != run.evaluation
    assert api.verify(tmp_path / "run") == []


ARTIFACTS = [
    "audit/decisions.csv", "audit/findings.parquet", "audit/slides.parquet", "audit/report.html",
    "tiles.parquet", "folds.json",
    "folds/0/model.safetensors", "folds/0/model.json", "folds/1/history.csv", "model/classifier.json",
    "model/member-1/model.safetensors", "model/member-0/model.json", "predictions.parquet", "evaluation.json",
    "environment.json", "report.html", "recipe.yaml", "manifest.json", "doubtful_labels.csv", "shortcuts.json",
    "tile_probabilities.parquet",
]  # fmt: skip


def test_the_list_of_artifacts_is_whole(home):
    kinds = {name.replace("folds/2", "folds/0").replace("folds/1", "folds/0") for name in ARTIFACTS}
    prediction = {
        name.replace("folds/2", "folds/0")
        .replace("folds/1", "folds/0")
        .replace("member-2", "member-0")
        .replace("member-1", "member-0")
        for name in contents(home / "run")
    }
    assert prediction - {name.replace("member-1", "member-0") for name in kinds} == {"run.json"}


@pytest.mark.parametrize("gone", [ARTIFACTS[0::3], ARTIFACTS[1::3], ARTIFACTS[2::3]])
def test_what_is_deleted_comes_back_with_the_same_bytes(home, copy, gone):
    before = contents(copy)
    for name in gone:
        (copy / name).unlink()
    train(home / "cohort", copy, HOLDOUT)
    after = contents(copy)
    assert {name for name in before if before[name] != after.get(name)} == set()
    assert after.keys() == before.keys()


def test_what_is_damaged_is_made_again_with_the_same_bytes(home, copy):
    before = contents(copy)
    for name in (
        "tiles.parquet",
        "folds.json",
        "folds/0/model.safetensors",
        "folds/1/model.json",
        "predictions.parquet",
    ):
        (copy / name).write_bytes(before[name][: len(before[name]) // 2])
    for entry in (copy.parent / "cache").rglob("*.*"):
        if entry.is_file():
            entry.write_bytes(b"damaged")
    train(home / "cohort", copy, HOLDOUT)
    assert contents(copy) == before


@pytest.mark.parametrize(
    "stage", ["prepare_slides", "_train_folds", "predict_parts", "build_classifier", "write_report", "_manifest"]
)
def test_a_run_stopped_before_a_stage_ends_like_one_that_was_not(home, tmp_path, monkeypatch, stage):
    monkeypatch.setenv("TILEWISE_CACHE", str(home / "cache"))

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, stage, stop)
        with pytest.raises(KeyboardInterrupt):
            train(home / "cohort", tmp_path / "run", HOLDOUT)
    train(home / "cohort", tmp_path / "run", HOLDOUT)
    whole, resumed = contents(home / "run"), contents(tmp_path / "run")
    # These three hold the day on which the run was made.
    assert {name for name in whole if whole[name] != resumed.get(name)} <= {"report.html", "run.json", "manifest.json"}
    assert api.verify(tmp_path / "run") == []


def test_the_command_line_and_python_make_the_same_run(home, tmp_path, monkeypatch):
    monkeypatch.setenv("TILEWISE_CACHE", str(home / "cache"))
    monkeypatch.chdir(home)
    settings = ["--recipe", "texture", *(part for setting in (*SETTINGS, HOLDOUT) for part in ("--set", setting))]
    assert command(["train", "cohort", "--out", str(tmp_path / "run"), "--workers", "1", "--quiet", *settings]) == 0
    library, line = contents(home / "run"), contents(tmp_path / "run")
    for name in SAME:
        if name != "report.html":
            assert library[name] == line[name], name
    one, two = (json.loads(files["run.json"]) for files in (line, library))
    assert {**one, "created": None} == {**two, "created": None}
    assert api.evaluate(tmp_path / "run") == api.evaluate(str(home / "run"))
    assert (
        command(
            [
                "predict",
                str(tmp_path / "run"),
                "cohort",
                "--out",
                str(tmp_path / "line.csv"),
                "--workers",
                "1",
                "--quiet",
            ]
        )
        == 0
    )
    api.predict(home / "run", Cohort.discover("cohort", purpose="predict"), out=tmp_path / "library.csv", workers=1)
    assert (tmp_path / "line.csv").read_bytes() == (tmp_path / "library.csv").read_bytes()
    assert (tmp_path / "line.details.csv").read_bytes() == (tmp_path / "library.details.csv").read_bytes()


def test_a_finished_run_is_left_alone_when_its_cohort_changes(home, copy, tmp_path):
    before = contents(copy)
    (home / "cohort/masks/mask_0003.png").rename(tmp_path / "away.png")
    try:
        with pytest.raises(UsageError, match="have changed"):
            train(home / "cohort", copy, HOLDOUT)
    finally:
        (tmp_path / "away.png").rename(home / "cohort/masks/mask_0003.png")
    assert contents(copy) == before
    assert api.verify(copy) == []
    assert train(home / "cohort", copy, HOLDOUT).was_finished


def test_another_recipe_seed_or_decisions_in_the_same_folder_are_refused(home, copy, tmp_path):
    cohort = Cohort.discover(home / "cohort")
    before = contents(copy)
    with pytest.raises(UsageError, match=r"recipe\.tiles\.min_mask_ratio"):
        train(home / "cohort", copy, HOLDOUT, "tiles.min_mask_ratio=0.3")
    with pytest.raises(UsageError, match="seed: 0 there, 1 here"):
        api.train(cohort, recipe(HOLDOUT), out=copy, seed=1, workers=1)
    with pytest.raises(UsageError, match="decisions"):
        api.train(cohort, recipe(HOLDOUT), out=copy, decisions=copy / "audit/decisions.csv", workers=1)
    with pytest.raises(UsageError, match=r"--decisions .*none\.csv"):
        api.train(cohort, recipe(HOLDOUT), out=tmp_path / "new", decisions=tmp_path / "none.csv", workers=1)
    assert contents(copy) == before


def test_a_slide_that_fails_late_is_in_failures_csv_even_if_training_fails_after_it(home, tmp_path, monkeypatch):
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "cache"))
    original = extract_features._open

    def fail_one(work):
        if work.name == "img_0003.png":
            raise OSError("the disk went away")
        return original(work)

    def kill(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(extract_features, "_open", fail_one)
    monkeypatch.setattr(fold_training, "train_fold", kill)
    with pytest.raises(KeyboardInterrupt):
        train(home / "cohort", tmp_path / "run")
    failures = pd.read_csv(tmp_path / "run/failures.csv")
    assert failures[["item", "stage"]].values.tolist() == [["img_0003.png", "features"]]
    folds = json.loads((tmp_path / "run/folds.json").read_text())
    assert "img_0003.png" not in folds["slides"]


def test_a_slide_that_failed_late_is_tried_again_in_a_finished_run(home, tmp_path, monkeypatch):
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "cache"))
    original = extract_features._open

    def fail_one(work):
        if work.name == "img_0003.png":
            raise OSError("the disk went away")
        return original(work)

    with monkeypatch.context() as patch:
        patch.setattr(extract_features, "_open", fail_one)
        first = train(home / "cohort", tmp_path / "run")
    assert [failure.item for failure in first.failures] == ["img_0003.png"]
    assert first.evaluation.out_of_fold.num_slides == 17
    again = train(home / "cohort", tmp_path / "run")
    assert again.failures == ()
    assert again.evaluation.out_of_fold.num_slides == 18
    assert not (tmp_path / "run/failures.csv").exists()
    assert api.verify(tmp_path / "run") == []


def test_a_run_on_changed_labels_is_scored_on_the_table_s_own_as_well(home, tmp_path):
    slide = read_slides(home / "run/audit/slides.parquet")[0]["slide"][0]
    before = next(item.label for item in Cohort.discover(home / "cohort").slides if item.slide_id == slide)
    other = next(label for label in ("A", "B") if label != before)
    rows = (home / "run/audit/decisions.csv").read_text().splitlines()
    head = rows[0].split(",")
    row = {"slide": slide, "decision": "relabel", "value": other, "author": "me"}
    (tmp_path / "decisions.csv").write_text("\n".join([*rows, ",".join(row.get(name, "") for name in head)]) + "\n")
    run = train(home / "cohort", tmp_path / "run", "folds.num_folds=3", decisions=tmp_path / "decisions.csv")
    assert run.evaluation.original_labels.num_slides == run.evaluation.out_of_fold.num_slides
    assert run.evaluation.original_labels.confusion != run.evaluation.out_of_fold.confusion
    assert api.evaluate(tmp_path / "run") == run.evaluation
    assert any("1 slide carries a label of decisions.csv" in warning for warning in run.warnings)
    page = (tmp_path / "run/report.html").read_text()
    assert "On the table&#39;s own labels" in page
    assert 'id="doubts"' in page
