from __future__ import annotations

import numpy as np
import pytest

from tests.auditing.copies.slides import NUM_SLIDES, clean, fingerprint, slide, with_blob
from tilewise.auditing.copies import Pair, find_pairs
from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.faults.copies import COPY_FAMILIES, draw_copy
from tilewise.synthetic.faults.sections import draw_section, draw_stranger
from tilewise.synthetic.plan import plan_cohort
from tilewise.synthetic.texture import TumourAppearance


def pair_with(index: int, rgb: np.ndarray) -> Pair:
    """The one pair of slide `index` with the picture; there must be no other with any slide."""
    pairs = find_pairs(clean(), against={"new": fingerprint(rgb)})
    assert [(each.slide, each.other) for each in pairs] == [(f"slide {index}", "new")]
    return pairs[0]


def test_clean_slides_make_no_pairs() -> None:
    assert find_pairs(clean()) == ()


@pytest.mark.parametrize("family", COPY_FAMILIES)
@pytest.mark.parametrize("index", range(NUM_SLIDES))
def test_copies_of_every_family_are_found(family: str, index: int) -> None:
    drawn = slide(index)
    copy = draw_copy(np.random.default_rng(index), drawn.rgb, mask=drawn.mask, family=family)
    match = pair_with(index, copy.rgb)
    assert match.relation == "copy"
    assert match.similarity > 0.8
    assert match.differs < 0.1


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (lambda rgb: rgb[:, ::-1], "mirrored"),
        (lambda rgb: np.rot90(rgb, -1), "turned by 90 degrees"),
        (lambda rgb: np.rot90(rgb[:, ::-1], 1), "mirrored and turned by 270 degrees"),
        (lambda rgb: rgb[::-1], "mirrored and turned by 180 degrees"),
    ],
)
def test_the_turn_is_told(turn: object, words: str) -> None:
    match = pair_with(2, turn(slide(2).rgb))  # type: ignore[operator]
    assert match.transform == words
    assert match.derived is None
    assert match.overlap == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("index", range(NUM_SLIDES))
def test_a_third_of_the_tissue_may_be_covered(index: int) -> None:
    match = pair_with(index, np.rot90(with_blob(index, share=0.33)[:, ::-1]))
    assert match.relation == "copy"
    assert match.differs == pytest.approx(0.33, abs=0.12)
    assert match.derived == "new"
    assert "unlike" in match.reason


def test_the_crop_is_the_derived_one() -> None:
    rgb = slide(3).rgb
    height, width = rgb.shape[:2]
    match = pair_with(3, rgb[height // 10 : -height // 10, width // 10 : -width // 10])
    assert match.relation == "copy"
    assert match.derived == "new"
    assert "shows less" in match.reason


def test_two_covered_copies_of_one_slide_are_a_pair_too() -> None:
    one, two = fingerprint(with_blob(0, share=0.2)), fingerprint(slide(0).rgb[::-1])
    assert [each.relation for each in find_pairs({"one": one, "two": two})] == ["copy"]


@pytest.mark.parametrize("index", range(NUM_SLIDES))
def test_other_tissue_in_the_same_outline_is_no_pair(index: int) -> None:
    config = SynthConfig(num_slides=20, seed=31)
    look = TumourAppearance.of(plan_cohort(config)[index + 7].unit)
    stranger = draw_stranger(np.random.default_rng(index), slide(index), look=look)
    # The outline is the same to the pixel; what is inside is all that differs.
    assert np.array_equal(stranger.tissue, slide(index).tissue)
    assert find_pairs({**clean(), "stranger": fingerprint(stranger.rgb)}) == ()


@pytest.mark.parametrize("index", range(NUM_SLIDES))
def test_real_texture_of_another_slide_in_the_same_outline_is_no_pair(index: int) -> None:
    drawn, other = slide(index), slide((index + 1) % NUM_SLIDES)
    # One core's texture, repeated until it fills the frame, shows through the other's outline.
    y, x = np.nonzero(other.tissue)
    row, column = int(np.median(y)), int(np.median(x[np.abs(y - np.median(y)) < 5]))
    patch = other.rgb[max(0, row - 60) : row + 60, max(0, column - 60) : column + 60]
    repeats = (drawn.rgb.shape[0] // patch.shape[0] + 1, drawn.rgb.shape[1] // patch.shape[1] + 1, 1)
    sheet = np.tile(patch, repeats)[: drawn.rgb.shape[0], : drawn.rgb.shape[1]]
    decoy = np.where(drawn.tissue[:, :, None], sheet, drawn.rgb)
    pairs = find_pairs({"slide": clean()[f"slide {index}"], "decoy": fingerprint(decoy)})
    assert pairs == ()


@pytest.mark.parametrize("index", range(NUM_SLIDES))
def test_the_next_section_is_a_section_and_no_copy(index: int) -> None:
    section = draw_section(np.random.default_rng(index), slide(index))
    match = pair_with(index, section.rgb)
    assert match.relation == "section"
    assert match.derived is None


def test_slides_with_nothing_to_compare_are_no_pair() -> None:
    glass = np.full((800, 1000, 3), 240, np.uint8)
    flat = glass.copy()
    flat[300:500, 200:800] = (200, 120, 170)
    dusty = np.clip(glass + np.random.default_rng(0).normal(0, 2, glass.shape), 0, 255).astype(np.uint8)
    pictures = {"glass": glass, "flat": flat, "mirrored": flat[:, ::-1], "brighter": flat + np.uint8(8), "dusty": dusty}
    assert find_pairs({name: fingerprint(rgb) for name, rgb in pictures.items()}) == ()


def test_against_pairs_across_only() -> None:
    copies = {"copy": fingerprint(slide(0).rgb[::-1]), "another": fingerprint(np.rot90(slide(0).rgb))}
    across = find_pairs(clean(), against=copies)
    assert {(each.slide, each.other) for each in across} == {("slide 0", "copy"), ("slide 0", "another")}
    assert len(find_pairs({**clean(), **copies})) == 3
    assert find_pairs({}, against=copies) == find_pairs({}) == ()


def test_a_slide_of_the_same_name_in_the_other_cohort_is_another_slide() -> None:
    pairs = find_pairs({"slide 0": clean()["slide 0"]}, against={"slide 0": fingerprint(slide(0).rgb[:, ::-1])})
    assert [(each.slide, each.other, each.relation) for each in pairs] == [("slide 0", "slide 0", "copy")]
