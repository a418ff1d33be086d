"""Slides whose file hangs, is broken off or has a level that is damaged: each is one failure, and the rest goes on."""

import os

import cv2
import numpy as np
import pytest
import tifffile

from tests.drawn import draw_slide
from tests.slides.pyramids import halved, write_pyramid
from tilewise.auditing.audit_cohort import AuditOptions, audit_cohort
from tilewise.auditing.config import AuditConfig
from tilewise.cohort import Cohort
from tilewise.extraction.config import FeaturesConfig
from tilewise.extraction.extract_features import extract_features
from tilewise.slides import overview as overview_module
from tilewise.tiles.config import TileConfig
from tilewise.tiles.tile_cohort import tile_cohort


def pyramid(path, number):
    draw_slide(path.with_suffix(".png"), number, klass=0)
    rgb = cv2.cvtColor(cv2.imread(str(path.with_suffix(".png"))), cv2.COLOR_BGR2RGB)
    path.with_suffix(".png").unlink()
    return write_pyramid(path, halved(rgb, times=1), compression="jpeg", photometric="ycbcr")


def damage(path, page):
    """Zeros in the middle of the last tile of a page."""
    with tifffile.TiffFile(path) as file:
        offset, count = file.pages[page].dataoffsets[-1], file.pages[page].databytecounts[-1]
    with path.open("r+b") as stream:
        stream.seek(offset + count - 60)
        stream.write(bytes(50))


class Means:
    signature = {"name": "means"}  # noqa: RUF012

    def encode(self, tiles_NHWC):
        return tiles_NHWC.mean(axis=(1, 2)).astype(np.float32)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_slide_that_hangs_is_one_failure(workers, tmp_path, monkeypatch):
    monkeypatch.setenv("TILEWISE_SLIDE_TIMEOUT", "4")
    for number, name in enumerate("ac"):
        draw_slide(tmp_path / f"{name}.png", number, klass=0)
    os.mkfifo(tmp_path / "b.png")  # as a file on a network disk that is gone
    cohort = Cohort.discover(tmp_path, purpose="predict")
    audited = audit_cohort(cohort, AuditConfig(), AuditOptions(drop=False, workers=workers))
    assert [item.slide_id for item in audited.slides] == ["a.png", "c.png"]
    (failure,) = audited.failures
    assert (failure.item, failure.error) == ("b.png", "SlideTimeout")


def test_a_level_that_is_damaged_is_one_failure_where_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(overview_module, "OVERVIEW_PIXELS", 4000)  # so that the audit reads level 1
    for number, name in enumerate("abcde"):
        pyramid(tmp_path / f"{name}.tif", number)
    damage(tmp_path / "b.tif", 0)
    damage(tmp_path / "c.tif", 1)
    whole = (tmp_path / "d.tif").read_bytes()
    (tmp_path / "d.tif").write_bytes(whole[: len(whole) * 2 // 3])
    cohort = Cohort.discover(tmp_path, purpose="predict")
    audited = audit_cohort(cohort, AuditConfig(), AuditOptions(drop=False, workers=1))
    assert sorted(failure.item for failure in audited.failures) == ["c.tif", "d.tif"]
    config = TileConfig(size_px=32, strategy="grid", grid_min_tissue_ratio=0)
    tiles, failures = tile_cohort(audited, config, out=None, workers=1)
    assert not failures
    # Chunks of 3 tiles, so that the slide fails when some of its tiles are encoded already.
    bags, failures = extract_features(audited, tiles, Means(), FeaturesConfig(cache=False, chunk_tiles=3), config)
    assert sorted(bags) == ["a.tif", "e.tif"]
    assert [failure.item for failure in failures] == ["b.tif"]
    assert "level 0 is damaged" in failures[0].message
    whole_bags, _ = extract_features(audited, tiles, Means(), FeaturesConfig(cache=False), config)
    for name, bag in bags.items():
        np.testing.assert_array_equal(bag.features_ND, whole_bags[name].features_ND)
