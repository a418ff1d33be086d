"""`tilewise segment` on the command line."""

import json

import cv2
import numpy as np
import pytest

from tests.drawn import SETTINGS, draw_cohort
from tests.segment.conftest import FAST, needs_unet
from tilewise.cli.main import run


@pytest.fixture
def folder(tmp_path):
    folder = draw_cohort(tmp_path / "cohort", num_slides=8)
    (folder / "masks" / "mask_0003.png").unlink()
    return folder


def call(capfd, *arguments):
    capfd.readouterr()
    code = run([str(argument) for argument in arguments])
    return code, *capfd.readouterr()


def settings(*values):
    return [part for value in values for part in ("--set", value)]


def test_masks_are_made_shown_and_trained_with(capfd, folder, tmp_path):
    out = tmp_path / "masks"
    code, text, err = call(capfd, "segment", folder, "--method", "tissue", "--out", out, "--quiet")
    assert (code, err) == (0, "")
    assert "8 of 8 slides got a new mask" in text
    assert f"tilewise train {out}" in text
    assert "<img" in (out / "segment.html").read_text("utf-8")
    payload = json.loads(call(capfd, "segment", folder, "--method", "tissue", "--out", out, "--json", "--quiet")[1])
    made = {row["slide"]: row for row in payload["slides"]}
    assert made["img_0003.png"]["dice"] is None
    assert made["img_0002.png"]["dice"] > 0.5
    mask = cv2.imread(str(out / made["img_0003.png"]["mask"]), cv2.IMREAD_GRAYSCALE)
    assert mask.shape == (96, 128)
    assert (mask[24:72, 24:104] == 255).all()  # the drawn tissue

    code, _, err = call(
        capfd,
        "train",
        out,
        "--out",
        tmp_path / "run",
        "--quiet",
        "--workers",
        1,
        "--recipe",
        "texture",
        *settings(*SETTINGS),
    )
    assert code == 0, err


def test_a_slide_that_is_left_without_a_mask_is_named_and_the_exit_code_tells(capfd, folder, tmp_path):
    cv2.imwrite(str(folder / "images" / "img_0003.png"), np.full((96, 128, 3), 238, np.uint8))
    keep = settings("audit.quality=keep")
    code, _, err = call(capfd, "segment", folder, "--method", "tissue", "--out", tmp_path / "m", "--quiet", *keep)
    assert (code, err.count("\n")) == (1, 1)
    assert "no mask: img_0003.png: it has no mask" in err


def test_the_folder_of_the_cohort_is_left_alone(capfd, folder, tmp_path):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert call(capfd, "segment", folder, "--method", "tissue", "--out", tmp_path / "masks", "--quiet")[0] == 0
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    code, _, err = call(capfd, "segment", folder, "--method", "tissue", "--out", folder / "masks")
    assert code == 2
    assert "which is read here" in err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--method", "tissue", "--mask-threshold", "0.3"], "mask_threshold has no effect with method tissue"),
        (["--method", "unet", "--set", "segment.unet.epoch=3"], "did you mean 'epochs'"),
        (["--method", "colour"], "colour"),
    ],
)
def test_what_has_no_meaning_is_refused(capfd, folder, tmp_path, more, message):
    code, _, err = call(capfd, "segment", folder, "--out", tmp_path / "masks", *more)
    assert code == 2
    assert message in err
    assert not (tmp_path / "masks").exists()


@needs_unet
def test_a_unet_learns_from_the_masks_there_are(capfd, folder, tmp_path):
    fast = settings(*(f"segment.unet.{key}={value}" for key, value in FAST.items()))
    out = tmp_path / "masks"
    code, text, err = call(capfd, "segment", folder, "--method", "unet", "--out", out, "--json", *fast, "--workers", 1)
    assert code == 0, err
    payload = json.loads(text)
    makers = {row["slide"]: row["made_by"] for row in payload["slides"]}
    assert makers["img_0003.png"] == "mean of 2 networks"
    assert {makers[name] for name in makers if name != "img_0003.png"} == {"network 0", "network 1"}
    again = tmp_path / "again"
    code, text, err = call(
        capfd, "segment", folder, "--method", "unet", "--out", again, "--json",
        *settings(f"segment.unet.networks={out / 'segmenter'}"),
    )  # fmt: skip
    assert code == 0, err
    assert {row["slide"]: row["dice"] for row in json.loads(text)["slides"]} == {
        row["slide"]: row["dice"] for row in payload["slides"]
    }


@pytest.mark.parametrize("name", ["cohort.csv", "img_0003_mask.png"])
def test_a_mask_or_table_that_somebody_edited_is_not_made_again_over_it(capfd, folder, tmp_path, name):
    out = tmp_path / "masks"
    command = ["segment", folder, "--method", "tissue", "--out", out, "--quiet", "--workers", "1"]
    assert call(capfd, *command)[0] == 0
    (edited,) = out.rglob(name)
    edited.write_bytes(edited.read_bytes() + b"\n")
    before = edited.read_bytes()
    code, _, err = call(capfd, *command)
    assert code == 2
    assert f"{name} was edited since it was written" in err
    assert edited.read_bytes() == before
