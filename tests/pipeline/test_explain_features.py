"""Maps of runs on features of other programs: on a blank, on the slides' pixels, in microns, and without any place."""

import csv
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tifffile

import tilewise as tw
from tests.interchange.written import grid, write_clam, write_stamp, write_trident
from tests.pipeline.test_imported_features import features_of
from tilewise.cli.main import run as run_cli
from tilewise.errors import UsageError
from tilewise.explain.config import ExplainConfig

NUM, SIDE = 10, 64
SIZE = (7 * SIDE, 2 * SIDE)
RECIPE = {
    "folds.num_folds": 2,
    "evaluation.num_resamples": 100,
    "head.aggregate": "attention",
    "head.attention_size": 4,
    "training.epochs": 3,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    rows = [(f"s{number:02d}", "AB"[number % 2]) for number in range(NUM)]
    pd.DataFrame(rows, columns=["slide", "label"]).to_csv(home / "labels.csv", index=False)
    size = {"patch_size_level0": SIDE, "level0_width": SIZE[0], "level0_height": SIZE[1]}
    for number, (name, _) in enumerate(rows):
        features = features_of(number, num_tiles=9)
        write_trident(home / f"trident/{name}.h5", features, grid(9, SIDE), **size)
        write_stamp(home / f"stamp/{name}.h5", features, grid(9, SIDE) * 4.0)
        write_clam(home / "clam", name, features, grid(9, SIDE))
    shutil.copytree(home / "clam/pt_files", home / "tensors")  # and nothing that tells where tiles lie
    (home / "pixels/scans").mkdir(parents=True)
    for name, _ in rows[:-1]:
        picture = np.full((SIZE[1], SIZE[0], 3), (230, 120, 180), dtype=np.uint8)
        # A tile of 256 microns is 64 px at 4 microns a pixel.
        tifffile.imwrite(home / f"pixels/scans/{name}.tif", picture, photometric="rgb", resolution=(2500, 2500),
                         resolutionunit="centimeter", metadata=None)  # fmt: skip
    tifffile.imwrite(home / f"pixels/{rows[-1][0]}.tif", np.zeros((64, 64, 3), np.uint8), photometric="rgb")
    return home


def trained(home, name, folder):
    recipe = tw.load_recipe("texture").with_(**RECIPE)
    return tw.train(folder, recipe, out=home / f"run-{name}", labels=home / "labels.csv").folder.root


@pytest.fixture(scope="module")
def trident(home):
    return trained(home, "trident", home / "trident")


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_without_pixels_tiles_are_rectangles_and_everything_else_is_there(trident, tmp_path):
    (trident.parent / "labels.csv").rename(tmp_path / "moved.csv")  # labels and groups are those of the run
    result = tw.api.explain(trident, out=tmp_path / "maps", workers=1)
    (tmp_path / "moved.csv").rename(trident.parent / "labels.csv")
    assert len(result.pictures) == len(result.objects) == 9
    assert result.warnings[0].startswith("No pixels were at hand")
    assert [check.name for check in result.checks] == ["probability", "attention"]
    page = result.page.read_text("utf-8")
    assert "No pixels were at hand" in page
    assert "heads on features of uni_v1" in page
    assert '<p class="place">at ' in page
    assert "The cohort, by its features" in page
    predictions = tw.Run.open(trident).predictions.out_of_fold.table.set_index("slide")
    rows = [row for row in rows_of(result.table) if row["slide"] == next(iter(result.drawn))]
    assert [(int(row["tile"]), int(row["x"]), int(row["width"])) for row in rows][:2] == [(0, 0, SIDE), (1, SIDE, SIDE)]
    assert sum(float(row["attention"]) for row in rows) == pytest.approx(1, abs=1e-4)
    for name, drawn in result.drawn.items():
        slide, *tiles = json.loads(result.objects[name].read_text("utf-8"))["features"]
        assert len(tiles) == 9
        assert slide["geometry"]["coordinates"][0][2] == list(SIZE)
        assert slide["properties"]["measurements"][f"probability {drawn}"] == pytest.approx(
            predictions.loc[name, f"p_{drawn}"], abs=1e-6
        )


def shows(picture, bgr):
    import cv2

    return (cv2.imread(str(picture)) == bgr).all(axis=2).any()


def test_with_the_slides_maps_lie_on_their_pixels_where_they_fit(home, trident, tmp_path):
    config = ExplainConfig(limit=NUM)
    result = tw.api.explain(trident, out=tmp_path / "maps", pixels=home / "pixels", config=config, workers=1)
    assert len(result.pictures) == NUM
    pink = (180, 120, 230)
    assert [name for name, path in result.pictures.items() if not shows(path, pink)] == ["s09"]
    assert result.warnings[0] == (
        "1 of 10 slides are drawn as rectangles on a blank, the first s09: its features are of 448 x 128 px, and "
        "s09.tif has 64 x 64 px."
    )
    with pytest.raises(UsageError, match=r"not one slide fits, the first s00: no slide of its name lies there"):
        tw.api.explain(trident, out=tmp_path / "none", pixels=home / "stamp")


def test_microns_stay_microns_until_the_slides_tell_their_scale(home, tmp_path):
    run = trained(home, "stamp", home / "stamp")
    config = ExplainConfig(limit=3)
    result = tw.api.explain(run, out=tmp_path / "maps", config=config, workers=1)
    assert len(result.pictures) == 3
    assert not result.objects
    assert any("Places are in microns" in text for text in result.warnings)
    assert [row["x_um"] for row in rows_of(result.table)[:3]] == ["0", "256", "512"]
    result = tw.api.explain(run, out=tmp_path / "maps", pixels=home / "pixels", config=config, workers=1)
    assert [row["x"] for row in rows_of(result.table)[:3]] == ["0", "64", "128"]
    assert len(result.objects) == len(result.pictures)


def test_tiles_of_no_place_are_numbered(home, tmp_path, capfd):
    run = trained(home, "clam", home / "tensors")
    assert run_cli(["explain", str(run), "--out", str(tmp_path / "maps")]) == 1
    assert "nobody knows where its tiles lie" in capfd.readouterr().err
    rows = rows_of(tmp_path / "maps/explain.csv")
    assert len(rows) == 9 * 9
    assert [(row["tile"], row["x"], row["picture"]) for row in rows[:2]] == [("0", "", ""), ("1", "", "")]
    assert rows[0]["probability"]
    assert '<p class="place">tile ' in (tmp_path / "maps/explain.html").read_text("utf-8")


def test_new_features_are_explained_and_what_cannot_be_is_refused(home, trident, tmp_path, capfd):
    for number in range(30, 32):
        write_trident(tmp_path / f"new/s{number}.h5", features_of(number), grid(6, SIDE), patch_size_level0=SIDE)
    command = ["explain", str(trident), str(tmp_path / "new"), "--slides", "s31", "--out", str(tmp_path / "maps")]
    assert run_cli([*command, "--quiet"]) == 0
    assert {row["slide"] for row in rows_of(tmp_path / "maps/explain.csv")} == {"s31"}
    write_trident(tmp_path / "other/a.h5", features_of(1)[:, :4], grid(6))
    assert run_cli(["explain", str(trident), str(tmp_path / "other"), "--out", str(tmp_path / "x")]) == 2
    assert "4 features a tile by uni_v1" in capfd.readouterr().err


def test_features_that_changed_or_left_are_named(home, tmp_path):
    for number in range(NUM):
        write_trident(tmp_path / f"features/s{number:02d}.h5", features_of(number), grid(6, SIDE))
    (tmp_path / "labels.csv").write_bytes((home / "labels.csv").read_bytes())
    run = trained(tmp_path, "own", tmp_path / "features")
    write_trident(tmp_path / "features/s03.h5", features_of(40), grid(6, SIDE))
    with pytest.raises(UsageError, match="have changed since"):
        tw.api.explain(run, out=tmp_path / "maps")
    (tmp_path / "features/s03.h5").unlink()
    with pytest.raises(UsageError, match=r"the features of s03.* are not there"):
        tw.api.explain(run, out=tmp_path / "maps")


def test_a_run_on_features_cannot_be_reviewed_and_the_message_says_what_to_do(trident, capsys):
    assert run_cli(["serve", str(trident), "--port", "0"]) == 2
    assert f"tilewise explain {trident} --pixels SLIDES" in capsys.readouterr().err
