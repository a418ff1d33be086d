"""Real cohorts in the layouts they come in."""

from __future__ import annotations

import csv
import shutil
from collections import Counter

import pytest

from tilewise.cohort import Cohort, read_mask
from tilewise.errors import CohortError
from tilewise.slides import read_header

pytestmark = pytest.mark.real


def test_osteosarcoma_by_its_table_and_without_it(data_dir, tmp_path):
    folder = data_dir / "osteosarcoma"
    by_table = Cohort.discover(folder)
    assert by_table.layout == "table"
    assert Counter(slide.label for slide in by_table.slides) == dict.fromkeys(by_table.classes, 15)
    assert by_table.classes == ("Non-Tumor", "Non-Viable-Tumor", "Viable")
    assert Counter(slide.split for slide in by_table.slides) == {"train": 30, "test": 15}
    for name in ("images", "masks"):
        (tmp_path / name).symlink_to(folder / name)
    shutil.copy(folder / "labels.csv", tmp_path)
    by_folder = Cohort.discover(tmp_path)
    assert by_folder.layout == "images"
    table = {slide.path.name: (slide.label, slide.mask_path.name) for slide in by_table.slides}
    assert table == {slide.slide_id: (slide.label, slide.mask_path.name) for slide in by_folder.slides}


@pytest.mark.parametrize(("name", "num_slides"), [("oral", 724), ("breakhis", 30), ("colorectal", 103)])
def test_labels_that_name_paths(name, num_slides, data_dir):
    cohort = Cohort.discover(data_dir / name)
    with (data_dir / name / "labels.csv").open(newline="") as stream:
        expected = {row["file"]: row["label"] for row in csv.DictReader(stream)}
    assert {slide.slide_id: slide.label for slide in cohort.slides} == expected
    assert len(cohort.slides) == num_slides
    assert all(slide.path.is_file() for slide in cohort.slides)


def test_slides_without_labels_are_for_prediction_only(data_dir):
    cohort = Cohort.discover(data_dir / "brecahad", purpose="predict")
    assert len(cohort.slides) == 24
    assert all(slide.mask_path is not None for slide in cohort.slides)
    with pytest.raises(CohortError, match=r"labels.csv is missing"):
        Cohort.discover(data_dir / "brecahad")


@pytest.mark.parametrize("name", ["osteosarcoma", "brecahad", "camelyon_tiles"])
def test_masks_fit_their_slides(name, data_dir):
    cohort = Cohort.discover(data_dir / name, purpose="predict")
    shares = []
    for slide in cohort.slides[:12]:
        size = read_header(slide.path).size
        mask, notes = read_mask(slide, size)
        assert mask.shape == (size.height, size.width)
        assert not [note for note in notes if "values" in note]
        shares.append(mask.mean())
    assert 0 < sum(shares) / len(shares) < 1
