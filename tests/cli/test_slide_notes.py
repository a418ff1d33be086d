"""What readers took for what is said by every command that looks at slides, and stands in the reports."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.drawn import SETTINGS, draw_cohort
from tilewise.cli.main import run

pytestmark = pytest.mark.shared_cache

ALPHA = "opaque alpha dropped"
OPTIONS = [part for value in SETTINGS for part in ("--set", value)]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A cohort with three slides in RGBA, of which one is blank and dropped, and one grey slide; and a run on it."""
    home = tmp_path_factory.mktemp("home")
    folder = draw_cohort(home / "cohort")
    cv2.imwrite(str(folder / "images/img_0003.png"), np.full((96, 128, 3), 238, np.uint8))
    for number in (1, 3, 4):
        path = folder / "images" / f"img_{number:04d}.png"
        Image.open(path).convert("RGBA").save(path)
    return home


def call(capfd, *arguments):
    capfd.readouterr()
    code = run([*(str(argument) for argument in arguments), "--workers", "1", "--quiet"])
    return code, *capfd.readouterr()


def test_audit_counts_them_and_the_page_names_the_slides_also_those_that_are_dropped(capfd, home, tmp_path):
    code, text, _ = call(capfd, "audit", home / "cohort", "--out", tmp_path / "audit")
    assert code == 0
    assert f"3 slides: {ALPHA}" in text
    page = (tmp_path / "audit/report.html").read_text("utf-8")
    assert ALPHA in page
    assert "img_0001.png, img_0003.png, img_0004.png" in page
    payload = json.loads(call(capfd, "audit", home / "cohort", "--out", tmp_path / "audit", "--json")[1])
    assert payload["decisions"]["img_0003.png"] == "drop"
    named = {note["note"]: list(note["slides"]) for note in payload["slide_notes"]}
    assert named == {ALPHA: ["img_0001.png", "img_0003.png", "img_0004.png"]}


def test_train_explain_and_predict_say_them_too(capfd, home, tmp_path):
    command = ["train", home / "cohort", "--out", tmp_path / "run", "--recipe", "texture", *OPTIONS]
    code, text, err = call(capfd, *command)
    assert code == 0, err
    assert f"3 slides: {ALPHA}" in text
    report = (tmp_path / "run/report.html").read_text("utf-8")
    assert ALPHA in report
    assert "img_0001.png, img_0003.png, img_0004.png" in report
    payload = json.loads(call(capfd, *command, "--json")[1])
    assert [note["note"] for note in payload["slide_notes"]] == [ALPHA]
    new = tmp_path / "new"
    new.mkdir()
    for number in (1, 2):
        name = f"img_{number:04d}.png"
        (new / name).write_bytes((home / "cohort/images" / name).read_bytes())
    code, text, _ = call(capfd, "predict", tmp_path / "run", new, "--out", tmp_path / "s.csv", "--json")
    assert code == 0
    assert json.loads(text)["slide_notes"] == [{"note": ALPHA, "slides": {"img_0001.png": ALPHA}}]
    code, text, _ = call(capfd, "explain", tmp_path / "run", new, "--out", tmp_path / "maps")
    assert code == 0
    assert f"1 slide: {ALPHA}" in text
    assert f"1 slide: {ALPHA}" in (tmp_path / "maps/explain.html").read_text("utf-8")
