"""Every kind of bad input: one clear message that names the slide or field and the next step, and nothing is lost."""

import csv
import json
import shutil
from html import escape

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.drawn import draw_cohort, draw_slide
from tilewise.cli.main import run

pytestmark = pytest.mark.shared_cache

SETTINGS = [
    "--recipe",
    "texture",
    "--set",
    "tiles.size_px=32",
    "--set",
    "tiles.stride_px=null",
    "--set",
    "folds.num_folds=3",
    "--quiet",
]
SETTINGS += ["--set", "training.epochs=3", "--workers", "1"]
NUM_SLIDES = 12


def name(number):
    return f"img_{number:04d}.png"


def write_labels(folder, rows, header=("sample_index", "label")):
    with (folder / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def label(number):
    return ("A", "B")[number % 2]


@pytest.fixture
def cohort(tmp_path):
    """Twelve small slides of two classes, with masks."""
    return draw_cohort(tmp_path / "cohort", num_slides=NUM_SLIDES)


@pytest.fixture
def train(cohort, tmp_path, capsys):
    def call(*more):
        code = run(["train", str(cohort), "--out", str(tmp_path / "run"), *SETTINGS, *more])
        return code, capsys.readouterr().err

    return call


def rows(cohort):
    with (cohort / "labels.csv").open(newline="") as stream:
        return [tuple(row) for row in csv.reader(stream)][1:]


def test_the_cohort_itself_is_good(train, tmp_path):
    code, err = train()
    assert code == 0
    assert err.startswith("warning: No patient or group column")
    assert err.count("\n") == 1
    assert (tmp_path / "run/report.html").is_file()


def test_a_missing_mask_is_found_and_the_fallback_takes_its_place(cohort, train, tmp_path):
    (cohort / "masks/mask_0003.png").unlink()
    assert train()[0] == 0
    decisions = pd.read_csv(tmp_path / "run/audit/decisions.csv").set_index("slide")
    assert decisions.loc[name(3), ["finding", "decision"]].tolist() == ["mask-missing", "fix-mask"]
    tiles = pd.read_parquet(tmp_path / "run/tiles.parquet")
    assert set(tiles.loc[tiles["slide"] == name(3), "region"]) == {"tissue"}


def test_an_empty_mask_is_found_and_the_fallback_takes_its_place(cohort, train, tmp_path):
    cv2.imwrite(str(cohort / "masks/mask_0003.png"), np.zeros((96, 128), np.uint8))
    assert train()[0] == 0
    tiles = pd.read_parquet(tmp_path / "run/tiles.parquet")
    assert set(tiles.loc[tiles["slide"] == name(3), "region"]) == {"tissue"}


def test_a_mask_of_another_size_is_found_and_both_sizes_are_named(cohort, train, tmp_path):
    cv2.imwrite(str(cohort / "masks/mask_0003.png"), np.full((48, 64), 255, np.uint8))
    assert train()[0] == 0
    decisions = pd.read_csv(tmp_path / "run/audit/decisions.csv").set_index(["slide", "finding"])
    reason = decisions.loc[(name(3), "mask-size"), "reason"]
    assert "64 x 48" in reason
    assert "128 x 96" in reason


def test_a_slide_that_is_excluded_for_want_of_tiles_is_named_with_the_reason(cohort, train, tmp_path):
    cv2.imwrite(str(cohort / "masks/mask_0003.png"), np.zeros((96, 128), np.uint8))
    assert train("--set", "tiles.fallback=exclude")[0] == 0
    assert name(3) not in set(pd.read_parquet(tmp_path / "run/predictions.parquet")["slide"])
    report = (tmp_path / "run/report.html").read_text("utf-8")
    assert "1 slide without tiles" in report


def test_a_label_without_a_slide(cohort, train, tmp_path):
    write_labels(cohort, [*rows(cohort), ("img_0099.png", "A")])
    code, err = train()
    assert code == 2
    assert "img_0099.png" in err
    assert not (tmp_path / "run").exists()


def test_a_slide_without_a_label_takes_no_part_and_is_named(cohort, train, tmp_path):
    write_labels(cohort, rows(cohort)[1:])
    assert train()[0] == 0
    decisions = pd.read_csv(tmp_path / "run/audit/decisions.csv").set_index("slide")
    assert "label-missing" in decisions.loc[[name(0)], "finding"].tolist()
    assert name(0) not in set(pd.read_parquet(tmp_path / "run/predictions.parquet")["slide"])


def test_an_unknown_column_is_kept_and_stated(cohort, train, tmp_path):
    write_labels(cohort, [(*row, "42") for row in rows(cohort)], ("sample_index", "label", "age"))
    assert train()[0] == 0
    assert any("age" in note for note in json.loads((tmp_path / "run/run.json").read_text())["notes"])


def test_a_duplicate_row_with_another_label(cohort, train):
    write_labels(cohort, [*rows(cohort), (name(0), "B")])
    code, err = train()
    assert code == 2
    assert name(0) in err


def test_a_class_with_fewer_slides_than_folds_is_stated_and_trained_on(cohort, train, tmp_path):
    write_labels(cohort, [(name(number), "C" if number < 2 else label(number)) for number in range(NUM_SLIDES)])
    assert train()[0] == 0
    notes = json.loads((tmp_path / "run/folds.json").read_text())["notes"]
    assert any("class C has 2 groups" in note and "folds.num_folds=2" in note for note in notes)
    assert all(escape(note) in (tmp_path / "run/report.html").read_text("utf-8") for note in notes)


def test_one_class_only(cohort, train):
    write_labels(cohort, [(name(number), "A") for number in range(NUM_SLIDES)])
    code, err = train()
    assert code == 2
    assert "`A`" in err
    assert "at least 2 classes" in err


def test_an_unreadable_slide_fails_alone_and_the_run_ends_with_1(cohort, train, tmp_path):
    path = cohort / "images" / name(3)
    path.write_bytes(path.read_bytes()[:300])
    code, err = train()
    assert code == 1
    assert name(3) in err
    failures = pd.read_csv(tmp_path / "run/failures.csv")
    assert failures["item"].tolist() == [name(3)]
    assert len(pd.read_parquet(tmp_path / "run/predictions.parquet").query("part == 'test'")) == NUM_SLIDES - 1
    assert run(["verify", str(tmp_path / "run")]) == 0


def test_a_slide_without_a_tile_fails_alone_the_run_ends_with_1_and_so_does_the_same_command_again(
    cohort, train, tmp_path
):
    scale = ("--set", "tiles.size_px=null", "--set", "tiles.size_um=16")
    for path in (cohort / "images").glob("*.png"):
        if path.name != name(3):
            with Image.open(path) as image:
                image.save(path, dpi=(50_800, 50_800))  # 0.5 microns a pixel
    for _ in range(2):
        code, err = train(*scale)
        assert code == 1
        assert "does not know its scale" in err
        assert err.count(name(3)) == 1
        failures = pd.read_csv(tmp_path / "run/failures.csv")
        assert failures[["item", "stage", "error"]].to_numpy().tolist() == [[name(3), "tiles", "NoTiles"]]
    assert name(3) not in set(pd.read_parquet(tmp_path / "run/predictions.parquet")["slide"])


def test_a_slide_that_is_absurdly_large_is_refused_by_name_before_it_is_decoded(cohort, train):
    cv2.imwrite(str(cohort / "images" / name(3)), np.zeros((1100, 1000), np.uint8))
    code, err = train("--set", "audit.max_megapixels=1")
    assert code == 1
    assert name(3) in err
    assert "audit.max_megapixels" in err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tiles.sizepx=64", "did you mean 'size_px'"),
        ("tile.size_px=64", "did you mean 'tiles'"),
        ("tiles.size_px=many", "tiles.size_px"),
        ("folds.num_folds=1", "folds.num_folds"),
        ("tiles.size_px", "not of the form"),
        ("encoder.name=textur", "texture"),
    ],
)
def test_a_mistyped_recipe_stops_before_anything_is_written(train, tmp_path, override, message):
    code, err = train("--set", override)
    assert code == 2
    assert message in err
    assert not (tmp_path / "run/tiles.parquet").exists()


def test_a_folder_that_holds_something_else_is_left_alone(cohort, train, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/thesis.tex").write_text("precious")
    code, err = train()
    assert code == 2
    assert "thesis.tex" in err
    assert [path.name for path in (tmp_path / "run").iterdir() if not path.name.startswith(".")] == ["thesis.tex"]


def test_what_was_computed_survives_a_mistake(cohort, train, tmp_path, capsys):
    assert train()[0] == 0
    before = (tmp_path / "run/predictions.parquet").read_bytes()
    write_labels(cohort, [(name(number), "A") for number in range(NUM_SLIDES)])
    assert train()[0] == 2
    assert (tmp_path / "run/predictions.parquet").read_bytes() == before


def test_a_fault_in_the_labels_is_said_and_not_the_other_part_audited(tmp_path, capfd):
    for part in ("train", "test"):
        for number in range(4):
            draw_slide(tmp_path / f"{part}_data" / f"img_{number:04d}.png", number, klass=number % 2)
    (tmp_path / "train_labels.csv").write_text("sample_index,label\nimg_0000.png,A\nimg_0009.png,B\n")
    assert run(["audit", str(tmp_path), "--out", str(tmp_path / "audit")]) == 2
    assert "img_0009.png" in capfd.readouterr().err
    (tmp_path / "train_labels.csv").unlink()
    shutil.rmtree(tmp_path / "train_data")
    assert run(["audit", str(tmp_path), "--out", str(tmp_path / "audit"), "--quiet"]) == 0  # slides to predict on


@pytest.mark.parametrize(("name", "command"), [("review", "serve"), ("fit", "train"), ("infer", "predict")])
def test_what_other_programs_call_a_command_names_ours(name, command, capsys):
    assert run([name, "runs/first"]) == 2
    assert f"`tilewise {command} " in capsys.readouterr().err
