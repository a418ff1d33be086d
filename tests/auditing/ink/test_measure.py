from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import TypeAdapter

from tests.auditing.ink.ink_slides import drawn_slide, with_blob, with_pen
from tilewise.auditing.ink import InkFacts, ink_map, measure_ink
from tilewise.slides import open_slide
from tilewise.tissue import tissue_mask

COLOURS = ("green", "blue", "red", "yellow", "black")
NO_INK = (
    "brecahad/images/*", "breakhis/*/*.png", "camelyon_tiles/images/*", "osteosarcoma/images/*", "oral/*/*/*",
    "colorectal/*/*/*", "slide_cmu1/*half.png", "stain/*/*.png", "stain/*/*.jpg", "stain/*/*.tif",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_clean_slide_has_no_ink(seed: int) -> None:
    slide = drawn_slide(seed)
    assert measure_ink(slide.rgb, slide.tissue, slide.mask).spots == ()


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("opacity", [0.78, 1.0])
def test_blob_is_found_with_its_colour_place_and_shares(colour: str, opacity: float) -> None:
    slide = drawn_slide(1)
    rgb, alpha = with_blob(slide, colour, opacity=opacity)
    facts = measure_ink(rgb, tissue_mask(rgb), slide.mask)
    assert len(facts.blobs) == 1
    spot = facts.blobs[0]
    core = alpha > 0.5
    x, y, width, height = cv2.boundingRect(core.astype(np.uint8))
    assert spot.colour == colour
    assert spot.on_tissue
    assert abs(spot.x - x) < 8
    assert abs(spot.y - y) < 8
    assert abs(spot.width - width) < 16
    assert abs(spot.height - height) < 16
    assert spot.area_share == pytest.approx(core.mean(), rel=0.2)
    assert facts.tissue_share == pytest.approx(core[slide.tissue].mean(), rel=0.4)
    assert facts.mask_on_ink == pytest.approx(core[slide.mask].mean(), rel=0.25)
    assert 0.6 <= spot.confidence <= 1.0


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("size", [(96, 128), (1200, 1700)])
def test_blob_is_found_on_small_and_large_slides(colour: str, size: tuple[int, int]) -> None:
    slide = drawn_slide(2, height=size[0], width=size[1])
    rgb, _ = with_blob(slide, colour, radius=0.14, glossy=size[0] > 100)
    facts = measure_ink(rgb, tissue_mask(rgb), slide.mask)
    assert [spot.colour for spot in facts.blobs] == [colour]


@pytest.mark.parametrize("colour", ["green", "blue", "black", "red"])
def test_pen_line_on_glass_is_a_pen(colour: str) -> None:
    slide = drawn_slide(3)
    facts = measure_ink(with_pen(slide, colour), slide.tissue, slide.mask)
    assert facts.blobs == ()
    assert {spot.colour for spot in facts.pens} == {colour}
    assert not any(spot.on_tissue for spot in facts.pens)
    assert facts.mask_on_ink == 0.0


def test_two_blobs_are_two_spots() -> None:
    slide = drawn_slide(4)
    rgb, _ = with_blob(slide, "green", at=(0.25, 0.5), radius=0.08)
    rgb, _ = with_blob(type(slide)(rgb, slide.tissue, slide.mask), "blue", at=(0.75, 0.5), radius=0.11)
    facts = measure_ink(rgb, tissue_mask(rgb), None)
    assert [spot.colour for spot in facts.blobs] == ["blue", "green"]
    assert facts.mask_on_ink == 0.0


def test_facts_survive_json() -> None:
    slide = drawn_slide(5)
    facts = measure_ink(with_blob(slide, "green")[0], slide.tissue, slide.mask)
    assert facts.spots
    assert TypeAdapter(InkFacts).validate_json(json.dumps(asdict(facts))) == facts


def test_map_is_the_same_again_and_covers_the_blob() -> None:
    slide = drawn_slide(6)
    rgb, alpha = with_blob(slide, "green")
    ink, again = ink_map(rgb), ink_map(rgb, measure_ink(rgb, slide.tissue, None))
    assert np.array_equal(ink.core, again.core)
    assert np.array_equal(ink.halo, again.halo)
    assert not (ink.core & ink.halo).any()
    assert ink.ink[alpha >= 0.05].mean() > 0.99
    assert ink.core[alpha > 0.7].mean() > 0.99
    assert ink.core[alpha < 0.05].mean() < 0.001


@settings(max_examples=25)
@given(
    rgb=arrays.arrays(
        np.uint8,
        st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)),
        elements=st.sampled_from([0, 5, 60, 128, 200, 240, 255]),
    )
)
def test_any_pixels_are_measured(rgb: np.ndarray) -> None:
    tissue = tissue_mask(rgb)
    facts = measure_ink(rgb, tissue, tissue)
    assert 0.0 <= facts.area_share <= 1.0
    assert 0.0 <= facts.mask_on_ink <= 1.0
    assert ink_map(rgb).ink.shape == rgb.shape[:2]


@pytest.mark.parametrize("level", [(0, 0, 0), (255, 255, 255), (20, 200, 40), (128, 128, 128)])
def test_one_colour_all_over_is_measured(level: tuple[int, int, int]) -> None:
    rgb = np.full((120, 90, 3), level, np.uint8)
    facts = measure_ink(rgb, np.ones((120, 90), bool), np.ones((120, 90), bool))
    assert facts.area_share <= 1.0
    assert bool(facts.spots) == (max(level) - min(level) > 100 or max(level) == 0)


@pytest.mark.real
@pytest.mark.parametrize("pattern", NO_INK)
def test_no_stain_is_taken_for_ink(data_dir: Path, pattern: str) -> None:
    files = sorted(path for path in data_dir.glob(pattern) if path.is_file())
    assert files
    # Every file is checked where there are few; of the many tiles of one source every third.
    for path in files[:: 3 if len(files) > 200 else 1]:
        with open_slide(path) as reader:
            rgb = reader.read_whole()
        facts = measure_ink(rgb, tissue_mask(rgb), None)
        assert not facts.spots, f"{path}: {facts.spots}"


@pytest.mark.real
def test_glow_and_grid_lines_are_no_ink(data_dir: Path) -> None:
    for path in sorted((data_dir / "her2st_slides/images").glob("*.jpg"))[:2]:
        with open_slide(path) as reader:
            rgb = reader.thumbnail(2400)
        assert not measure_ink(rgb, tissue_mask(rgb), None).spots
