"""Runs that make their own masks: by whom, where they are kept, and again on new slides."""

import json
import shutil

import cv2
import numpy as np
import pytest

from tests.drawn import draw_cohort, recipe
from tests.segment.conftest import FAST, needs_unet
from tilewise import api
from tilewise.cohort import Cohort
from tilewise.errors import ArtifactError
from tilewise.inference.classifier import ClassifierBundle
from tilewise.reporting.gather import gather
from tilewise.run_folder import RunFolder
from tilewise.store import verify
from tilewise.tiles.tileset import TileSet

UNET = ("segment.method=unet", *(f"segment.unet.{key}={value}" for key, value in FAST.items()))


@pytest.fixture
def folder(tmp_path):
    folder = draw_cohort(tmp_path / "cohort", num_slides=12)
    (folder / "masks" / "mask_0003.png").unlink()
    return folder


def train(folder, out, *settings):
    return api.train(Cohort.discover(folder), recipe(*settings), out=out, workers=1)


def test_a_run_cuts_by_the_masks_it_made(folder, tmp_path):
    out = tmp_path / "run"
    train(folder, out, "segment.method=tissue")
    tiles, _ = TileSet.read(out / "tiles.parquet")
    assert set(tiles.table["region"]) == {"mask"}
    assert not tiles.fallbacks
    report = (out / "report.html").read_text("utf-8")
    assert (
        "12 of 12 slides were cut by masks that were made (tissue); Dice with the masks that were there: 0." in report
    )
    assert "no usable mask" not in report
    assert verify(out) == []
    assert train(folder, out, "segment.method=tissue").was_finished
    assert "outline of what tiles were cut by: a mask that the run made" in report
    for slide in gather(RunFolder(out)).slides:
        made = cv2.imread(str(out / "segment" / slide.slide.replace(".png", "_mask.png")), cv2.IMREAD_GRAYSCALE) > 0
        np.testing.assert_array_equal(slide.picture.mask_HW, made)


@needs_unet
def test_new_slides_get_masks_from_the_networks_in_the_bundle(folder, tmp_path, monkeypatch):
    out = tmp_path / "run"
    train(folder, out, *UNET, "segment.slides=without_mask")
    made = {row["slide"]: row for row in json.loads((out / "segment" / "segment.json").read_text("utf-8"))["slides"]}
    assert [name for name, row in made.items() if row["used"]] == ["img_0003.png"]
    shutil.rmtree(out / "segment")
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "other"))
    new = tmp_path / "new"
    new.mkdir()
    for number in range(2):
        pixels = cv2.imread(str(folder / "images" / f"img_{number:04d}.png"))
        cv2.imwrite(str(new / f"new_{number}.png"), pixels[::-1, ::-1])
    prediction = api.predict(out, new, out=tmp_path / "submission.csv", workers=1)
    assert prediction.unclassified() == ()
    assert not any("it has no mask" in text for text in prediction.warnings)

    (out / "model" / "segmenter" / "0" / "network.json").write_text("{}")
    with pytest.raises(ArtifactError, match="segmenter is of another training"):
        ClassifierBundle.load(out / "model")


def test_a_slide_that_cannot_be_read_any_more_is_one_failure(folder, tmp_path, monkeypatch):
    from tilewise.pipeline import shared_stages

    segment_cohort = shared_stages.segment_cohort

    def losing(audited, *arguments, **options):
        audited.slides[5].slide.path.write_bytes(b"no picture")
        return segment_cohort(audited, *arguments, **options)

    monkeypatch.setattr(shared_stages, "segment_cohort", losing)
    run = train(folder, tmp_path / "run", "segment.method=tissue")
    assert [(failure.item, failure.stage) for failure in run.failures] == [("img_0005.png", "masks")]
    assert "img_0005.png" not in set(run.predictions.table["slide"])
