from pathlib import Path

import pytest

from tilewise.auditing.name_families import family_sentence


def joined(*parts, num=5):
    """`P001_a.png`, `P001_b.png`, `P002_a.png`..."""
    return [f"P{number:03d}_{part}.png" for number in range(1, num + 1) for part in parts]


@pytest.mark.parametrize(
    "names",
    [
        joined("a", "b"),
        joined("1", "2", "3", num=12),
        [*joined("a", num=20), *joined("b", num=5)],  # a few patients of two slides, most of one
        [f"images/pat-{number}-A{block}.svs" for number in range(4) for block in (3, 12)],
        [f"TCGA-A1-A0S{letter}-01Z-00-DX{number}.svs" for letter in "BDEF" for number in (1, 2)],
    ],
)
def test_slides_that_are_named_like_parts_of_patients_are_noticed(names):
    sentence = family_sentence(names, are_groups=False)
    assert sentence.startswith("Slides are named like several of one patient (`")
    assert "has 2 slides" in sentence or "has 3 slides" in sentence


@pytest.mark.parametrize(
    "names",
    [
        [f"img_{number:04d}.png" for number in range(40)],
        [f"P{number:03d}.png" for number in range(40)],
        [f"P{number:03d}_HE.png" for number in range(40)],
        [f"{label}_{power}x_{number}.jpg" for label in ("No", "OSCC") for power in (100, 400) for number in range(9)],
        [f"site{site}_{number:03d}.png" for site in range(3) for number in range(9)],
        [f"TMA{array}_{row}{column}.png" for array in range(1, 4) for row in "ABC" for column in range(1, 4)],
        [f"batch{number // 10}_{number:04d}.png" for number in range(40)],
        [f"H{year}-{number:03d}.svs" for year in (19, 20, 21) for number in range(100, 109)],
        [f"S20{year}-{number}.svs" for year in (19, 20, 21) for number in range(10_100, 10_109)],
        [f"clinic{site}-P{number:02d}.svs" for site in range(3) for number in range(9)],
        ["A1_x.png", "A1_y.png", *(f"slide{letter}.png" for letter in "abcdefghijklmnopqrst")],
        [f"{number:04d}.png" for number in range(30)],
        [],
    ],
)  # fmt: skip
@pytest.mark.parametrize("are_groups", [False, True])
def test_other_schemes_are_not_taken_for_patients(names, are_groups):
    names = [Path(name).stem if are_groups else name for name in names]
    assert family_sentence(names, are_groups=are_groups) == ""


def test_groups_that_are_blocks_of_patients_are_noticed():
    patients = {"Case-3": "A7 A12", "Case-48-P5": "C20 C23", "P9": "B28 B6", "Case-4": "C21 C22"}
    names = [f"{patient}-{block}" for patient, blocks in patients.items() for block in blocks.split()]
    assert family_sentence(names * 2, are_groups=True) == (
        "Groups are named like parts of 4 larger ones (`Case-48-P5` has 2 groups, `Case-3` has 2 groups, `Case-4` has "
        "2 groups, `P9` has 2 groups). If these are patients, folds have slides of one on both sides, and the score "
        "is too high: name patients in the `group` column."
    )
