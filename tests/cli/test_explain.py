"""`tilewise explain` on the command line, of heads on features."""

import csv
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.drawn import SETTINGS, draw_cohort, draw_slide, recipe
from tilewise import api
from tilewise.cli.main import run
from tilewise.cohort import Cohort
from tilewise.store import visible_names

pytestmark = pytest.mark.shared_cache


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    draw_cohort(home / "cohort", num_slides=12)
    settings = [
        *SETTINGS,
        "tiles.fallback=exclude",
        "head.aggregate=attention",
        "head.attention_size=8",
        "training.epochs=20",
    ]
    options = ["--recipe", "texture", *(part for setting in settings for part in ("--set", setting))]
    out = str(home / "run")
    assert run(["train", str(home / "cohort"), "--out", out, "--workers", "1", "--quiet", *options]) == 0
    new = home / "new"
    for number in range(2):
        mask = new / "masks" / f"mask_{number:04d}.png"
        draw_slide(new / "images" / f"img_{number:04d}.png", 40 + number, klass=number, mask=mask)
    cv2.imwrite(str(new / "images" / "img_0002.png"), np.full((96, 128, 3), 238, np.uint8))  # glass
    return home


def call(capfd, *arguments):
    capfd.readouterr()
    code = run(["explain", *(str(argument) for argument in arguments), "--workers", "1"])
    return code, *capfd.readouterr()


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_slides_are_drawn_and_those_without_a_tile_are_named(capfd, home, tmp_path):
    out = tmp_path / "maps"
    code, text, _ = call(capfd, home / "run", home / "new", "--out", out, "--json")
    payload = json.loads(text)
    assert code == 1
    assert payload["drawn"] == {"img_0000.png": "A", "img_0001.png": "B"}
    assert list(payload["without"]) == ["img_0002.png"]
    assert "no tile" in payload["without"]["img_0002.png"]
    for path in payload["pictures"].values():
        with Image.open(path) as picture:
            picture.load()
            assert (picture.format, picture.mode) == ("PNG", "RGB")
            assert np.asarray(picture).std() > 10
    rows = rows_of(out / "explain.csv")
    tiles = [row for row in rows if row["slide"] == "img_0001.png"]
    table = api.predict(home / "run", home / "new", workers=1).table.set_index("slide")
    assert len(tiles) == table.loc["img_0001.png", "num_tiles"]
    assert sum(float(row["attention"]) for row in tiles) == pytest.approx(1, abs=1e-4)
    assert all(0 <= float(row["probability"]) <= 1 and row["activation"] == "" for row in rows)
    page = (out / "explain.html").read_text("utf-8")
    assert page.index("not why it decided") < page.index("img_0002.png") < page.index("<img")
    assert page.count('<figure class="explained"') == 2
    assert "Adebayo" in page
    assert "http" not in page.replace("http-equiv", "")
    assert str(home) not in page


def test_another_class_of_some_slides_replaces_the_pictures_before(capfd, home, tmp_path):
    out = tmp_path / "maps"
    assert call(capfd, home / "run", home / "new", "--out", out, "--limit", 1, "--quiet")[0] == 0, "all have a map"
    code, text, _ = call(
        capfd, home / "run", home / "new", "--out", out, "--slides", "img_0001.png", "--class", "A", "--json"
    )
    assert code == 0
    assert json.loads(text)["drawn"] == {"img_0001.png": "A"}
    assert visible_names(out) == ["explain.csv", "explain.html", "img_0001.geojson", "img_0001.png"]
    assert "drawn for A, probability 0." in (out / "explain.html").read_text("utf-8")
    assert {row["class"] for row in rows_of(out / "explain.csv")} == {"A"}


def test_without_slides_those_of_the_run_are_drawn_and_the_checks_are_printed(capfd, home, tmp_path):
    code, text, _ = call(capfd, home / "run", "--out", tmp_path / "maps", "--limit", 3, "--occlude", 0)
    assert code == 0
    assert "3 slides drawn" in text
    assert "Attention: " in text
    assert {row["left_out"] for row in rows_of(tmp_path / "maps/explain.csv")} == {""}
    assert "The cohort, by its features" in (tmp_path / "maps/explain.html").read_text("utf-8")


def test_predict_ends_with_1_where_a_slide_yields_no_tile(capfd, home, tmp_path):
    command = ["predict", str(home / "run"), str(home / "new"), "--out", str(tmp_path / "s.csv"), "--workers", "1"]
    assert run([*command, "--json", "--quiet"]) == 1
    payload = json.loads(capfd.readouterr().out)
    assert (payload["unclassified"], payload["failures"]) == (["img_0002.png"], [])


def test_a_slide_that_cannot_be_read_is_named_and_the_exit_code_tells(capfd, home, tmp_path):
    for name in ("good.png", "<b>bad.png"):
        draw_slide(tmp_path / "new" / name, 50, klass=0, mask=tmp_path / "new" / name.replace(".png", "_mask.png"))
    (tmp_path / "new" / "<b>bad.png").write_bytes(b"\x89PNG broken")
    code, _, err = call(capfd, home / "run", tmp_path / "new", "--out", tmp_path / "maps", "--quiet")
    assert code == 1
    assert "<b>bad.png has no map" in err
    assert "<b>bad" not in (tmp_path / "maps/explain.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--class", "C"], "the run knows A, B"),
        (["--slides", "img_0009.png"], "did you mean"),
        (["--limit", "0"], "--limit"),
    ],
)
def test_wrong_use_is_one_message_and_nothing_is_written(capfd, home, tmp_path, arguments, message):
    code, out, err = call(capfd, home / "run", home / "new", "--out", tmp_path / "maps", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "maps").exists()


def test_of_an_ensemble_one_of_its_runs_is_to_be_given(capfd, home, tmp_path):
    api.train(Cohort.discover(home / "cohort"), recipe(), out=home / "run2", workers=1)
    api.ensemble([home / "run", home / "run2"], out=tmp_path / "both")
    code, _, err = call(capfd, tmp_path / "both", home / "new", "--out", tmp_path / "maps")
    assert code == 2
    assert "explain one of them instead, the run run say" in err
