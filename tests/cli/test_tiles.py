"""`tilewise tiles` on the command line."""

import json

import cv2
import numpy as np
import pytest

from tests.drawn import draw_cohort
from tilewise.cli.main import run
from tilewise.tiles.tileset import TileSet


@pytest.fixture
def folder(tmp_path):
    return draw_cohort(tmp_path / "cohort", num_slides=4)


def call(capfd, *arguments):
    capfd.readouterr()
    code = run(["tiles", *(str(argument) for argument in arguments)])
    return code, *capfd.readouterr()


SMALL = ("--set", "tiles.size_px=32", "--set", "tiles.stride_px=null")


def test_json_counts_what_the_table_holds(capfd, folder, tmp_path):
    table = tmp_path / "tiles.parquet"
    code, out, _ = call(capfd, folder, *SMALL, "--out", table, "--json")
    payload = json.loads(out)
    tiles, _ = TileSet.read(table)
    assert code == 0
    assert payload["num_tiles"] == len(tiles.table) > 0
    assert payload["tiles"] == tiles.counts()
    assert (payload["skipped"], payload["failures"], payload["preview"]) == ({}, [], None)


def test_a_person_reads_how_many_and_gets_a_page(capfd, folder, tmp_path):
    page = tmp_path / "tiles.html"
    settings = ("--set", "tiles.strategy=[component_center, window]")
    code, out, _ = call(capfd, folder, *SMALL, *settings, "--preview", page, "--quiet")
    assert code == 0
    assert "tiles on 4 slides" in out
    assert "component_center" in out
    assert str(page) in out
    assert page.read_text("utf-8").count("<article") == 4


def test_without_any_tile_the_preview_says_why_and_the_exit_code_tells(capfd, folder, tmp_path):
    nothing = ("--set", "tiles.strategy=component_box", "--set", "tiles.component_box_min=9000")
    nothing += ("--set", "tiles.fallback=exclude", *SMALL)
    code, out, _ = call(capfd, folder, *nothing, "--preview", tmp_path / "tiles.html", "--quiet")
    assert code == 1
    assert "no tile: img_0000.png" in out
    assert (tmp_path / "tiles.html").is_file()
    code, out, err = call(capfd, folder, *nothing)
    assert (code, out) == (1, "")
    assert "component_box" in err


def test_a_slide_without_a_tile_ends_with_1_unless_the_recipe_leaves_it_out(capfd, folder):
    cv2.imwrite(str(folder / "images" / "img_0001.png"), np.full((96, 128, 3), 238, np.uint8))  # glass
    options = (*SMALL, "--set", "tiles.min_tissue_ratio=0.5", "--set", "audit.quality=keep", "--json")
    code, out, _ = call(capfd, folder, *options)
    payload = json.loads(out)
    assert (code, list(payload["skipped"])) == (1, ["img_0001.png"])
    assert [failure["item"] for failure in payload["failures"]] == ["img_0001.png"]
    assert call(capfd, folder, *options, "--set", "tiles.fallback=exclude")[0] == 0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("tiles.strategy=windows", "tiles.strategy"),
        ("tiles.overlap=0.5", "not both"),
        ("tiles.random_views_num=3", "random_views_num is an option of random_views"),
    ],
)
def test_wrong_use_is_one_message_and_exit_code_2(capfd, folder, setting, message):
    code, out, err = call(capfd, folder, "--set", setting)
    assert (code, out) == (2, "")
    assert message in err
