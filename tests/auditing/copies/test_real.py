from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.auditing.copies.slides import fingerprint
from tilewise.auditing.copies import Fingerprint, find_pairs, measure_fingerprint
from tilewise.slides import open_slide, read_image
from tilewise.tissue import tissue_mask

pytestmark = pytest.mark.real


def of_folder(folder: Path, pattern: str) -> dict[str, Fingerprint]:
    return {path.stem: fingerprint(read_image(path)) for path in sorted(folder.glob(pattern))}


@pytest.fixture(scope="module")
def her2st(data_dir: Path) -> dict[str, Fingerprint]:
    fingerprints = {}
    for path in sorted((data_dir / "her2st_slides" / "images").glob("*.jpg")):
        with open_slide(path) as reader:
            rgb = reader.thumbnail(1600)
        fingerprints[path.stem] = measure_fingerprint(rgb, tissue_mask(rgb))
    return fingerprints


def test_sections_of_one_tumour_are_joined_and_another_patient_is_not(her2st: dict[str, Fingerprint]) -> None:
    pairs = find_pairs(her2st)
    assert {each.relation for each in pairs} == {"section"}
    group = {"C2"}
    for _ in range(4):
        group |= {name for each in pairs if {each.slide, each.other} & group for name in (each.slide, each.other)}
    assert group == {"C2", "C3", "C5", "C6"}
    assert not any("B4" in (each.slide, each.other) for each in pairs)


def test_one_of_them_copied_is_a_copy(her2st: dict[str, Fingerprint], data_dir: Path) -> None:
    with open_slide(data_dir / "her2st_slides" / "images" / "C3.jpg") as reader:
        rgb = np.rot90(reader.thumbnail(1300))
    pairs = [each for each in find_pairs(her2st, against={"turned": fingerprint(rgb)}) if each.relation == "copy"]
    assert [(each.slide, each.other) for each in pairs] == [("C3", "turned")]


def test_other_stains_of_one_block_are_no_copies(data_dir: Path) -> None:
    pairs = find_pairs(of_folder(data_dir / "stain" / "serial_sections_lung", "*.jpg"))
    assert all(each.relation == "section" for each in pairs)


def test_overlapping_fields_are_told_by_how_much(data_dir: Path) -> None:
    pairs = find_pairs(of_folder(data_dir / "brecahad" / "images", "*.jpg"))
    relations = {(each.slide, each.other): each for each in pairs}
    # Looked at: these five show the same tissue, the first wholly, the others by a third to a half.
    assert {key for key, each in relations.items() if each.relation == "copy"} == {("10015", "10016")}
    assert set(relations) == {
        ("10015", "10016"), ("10026", "10036"), ("10027", "10034"), ("10030", "10032"), ("10031", "10037"),
    }  # fmt: skip
    assert all(each.overlap < 0.6 for each in pairs if each.relation == "section")


def test_fields_of_other_cases_make_no_pairs(data_dir: Path) -> None:
    fingerprints = of_folder(data_dir / "osteosarcoma" / "original_1024", "Case-*.jpg")
    fingerprints |= of_folder(data_dir / "breakhis", "*/*.png")
    assert len(fingerprints) > 40
    assert find_pairs(fingerprints) == ()


def test_real_copies_among_small_tiles_lie_next_to_each_other(data_dir: Path) -> None:
    fingerprints = of_folder(data_dir / "oral" / "test", "*/*_100x_*.jpg")
    pairs = find_pairs(fingerprints)
    # Chance would pair any two of them; those found are neighbours by number, and never mirrored.
    for each in pairs:
        numbers = [int(name.rsplit("_", 1)[1]) for name in (each.slide, each.other)]
        assert abs(numbers[0] - numbers[1]) <= 10
        assert "mirrored" not in each.transform
    assert len(pairs) > 5
