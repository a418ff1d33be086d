"""The preview of tiles: one page that loads nothing, says what was cut, and why slides have none."""

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.drawn import draw_cohort, recipe
from tilewise.auditing.audit_cohort import AuditOptions, audit_cohort
from tilewise.cohort import Cohort
from tilewise.execution import Failure
from tilewise.reporting.describe_tiles import describe_tiling
from tilewise.reporting.tiles import PreviewInput, choose_slides, write_tiles_preview
from tilewise.reporting.tiles_pictures import TilesPictureRequest, draw
from tilewise.tiles.config import TileConfig
from tilewise.tiles.tile_cohort import tile_cohort


@pytest.fixture
def make_preview(tmp_path):
    folder = draw_cohort(tmp_path / "my <cohort>", num_slides=6)
    cv2.imwrite(str(folder / "masks/mask_0001.png"), np.zeros((96, 128), np.uint8))
    audited = audit_cohort(Cohort.discover(folder), recipe().audit, AuditOptions(workers=1))

    def cut(*settings):
        config = recipe(*settings).tiles
        tiles, failures = tile_cohort(audited, config, out=None, workers=1, require=False)
        return PreviewInput(audited, folder, tiles, config, failures)

    return cut


def page_of(preview, tmp_path):
    return write_tiles_preview(tmp_path / "page.html", preview, workers=1).read_text("utf-8")


def test_the_page_shows_every_slide_its_tiles_and_loads_nothing(make_preview, tmp_path):
    preview = make_preview("tiles.strategy=[window, component_center]")
    text = page_of(preview, tmp_path)
    assert f"{len(preview.tiles.table)} tiles on 6 of 6 slides" in text.replace("\N{NARROW NO-BREAK SPACE}", " ")
    for name in preview.tiles.counts():
        assert f'<span class="name">{name}</span>' in text
    assert "my &lt;cohort&gt;" in text
    assert "<cohort>" not in text
    assert not re.search(r"https?://|<link", text)
    assert text == page_of(preview, tmp_path)
    assert str(tmp_path) not in text


def test_slides_without_tiles_and_without_use_of_their_mask_say_why(make_preview, tmp_path):
    text = page_of(make_preview("tiles.fallback=exclude"), tmp_path)
    assert "1 slide without any tile" in text
    assert "Slides without tiles" in text
    assert re.search(r"0 tiles</b>: [^<]*mask", text)
    text = page_of(make_preview(), tmp_path)
    assert "1 slide not cut by its mask" in text


def test_a_cohort_without_any_tile_still_has_a_page(make_preview, tmp_path):
    text = page_of(
        make_preview("tiles.strategy=component_box", "tiles.component_box_min=9000", "tiles.fallback=exclude"), tmp_path
    )
    assert "No slide has a tile" in text
    assert text.count("<article") == 6


def test_slides_that_cannot_be_read_are_named_and_not_drawn(make_preview, tmp_path):
    preview = make_preview()
    lost = Failure("img_0009.png", "tiles", "MaskError", f"{tmp_path}/secret/mask_0009.png vanished")
    (preview.root / "images/img_0003.png").unlink()
    text = page_of(replace(preview, failures=(lost,)), tmp_path)
    assert "1 slide that could not be read" in text
    assert "mask_0009.png vanished" in text
    assert "secret" not in text
    assert 'class="lost"' in text


def test_outlines_lie_where_the_tiles_do(make_preview):
    preview = make_preview("tiles.strategy=component_box", "tiles.component_box_min=0")
    slide = preview.cohort.slides[0]
    rows = preview.tiles.rows()[slide.slide_id]
    picture = draw(TilesPictureRequest(slide, rows, preview.config, (0,)))
    ((strategy, outline),) = picture.outlines
    x, y, width, height = rows.boxes[0].tolist()
    assert strategy == "component_box"
    assert outline == f"M{x:.1f} {y:.1f}H{x + width:.1f}V{y + height:.1f}H{x:.1f}Z"
    assert (picture.slide.width, picture.slide.height) == (128, 96)
    assert picture.slide.outline
    assert len(picture.tiles) == 1


def test_the_other_fields_are_told_from_the_tiles(make_preview):
    preview = make_preview("tiles.strategy=component_center", "tiles.field_scales=[1, 2]")
    slide = preview.cohort.slides[0]
    rows = preview.tiles.rows()[slide.slide_id]
    picture = draw(TilesPictureRequest(slide, rows, preview.config, (0, 1)))
    assert [name for name, _ in picture.outlines] == ["component_center far", "component_center"]
    assert [outline.count("M") for _, outline in picture.outlines] == [len(rows) // 2, len(rows) // 2]
    assert len(picture.tiles) == 2


def test_large_cohorts_show_the_fewest_the_most_and_an_even_choice():
    counts = {f"{number:04d}": number % 97 for number in range(500)}
    chosen = choose_slides(counts, dict.fromkeys(counts))
    assert len(chosen) == 60
    assert chosen == sorted(chosen)
    numbers = [counts[name] for name in chosen]
    assert numbers.count(0) >= 5
    assert numbers.count(96) >= 5
    assert len({int(name) // 100 for name in chosen}) == 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"stride_px": 64},
            "Tiles are squares of 128 px on a grid of 64 px; at least 25 % of a tile lies under the mask.",
        ),
        ({"size_um": 100.0, "overlap": 0.5}, "squares of 100 µm, scaled to 128 px on a grid of 50 µm"),
        (
            {"strategy": "whole", "fit": "reflect"},
            "The whole slide is one tile, filled up with its mirror image of 128 px.",
        ),
        (
            {"strategy": "random_views", "min_mask_ratio": 0},
            "10 views of 128 px are drawn at random around the mask; the",
        ),
        ({"min_mask_ratio": 0.025}, "at least 2.5 % of a tile lies under the mask"),
        ({"strategy": "grid"}, "kept where at least 50 % of it is tissue."),
        ({"strategy": "component_box"}, "from 200 px of length up, filled up to a square of 128 px."),
        ({"strategy": "component_center", "component_center_most": 4}, "Up to 4 square tiles of 128 px are centred on"),
        ({"field_scales": [1, 2, 4]}, "in fields of 2 and 4 times its side"),
        ({"mask_filter": "background"}, "What lies outside the mask is the colour of the glass."),
        ({"mask_closing_px": 3, "mask_dilation_px": 5}, "The mask is closed by 3 px and grown by 5 px first."),
        ({"min_tissue_ratio": 0.1, "max_similarity": 0.98}, "with less than 10 % of tissue or alike another"),
        (
            {"max_tiles": 9, "fallback": "exclude"},
            "A slide has at most 9. A slide whose mask cannot be used is left out.",
        ),
    ],
)
def test_how_tiles_are_cut_is_told_in_words(options, words):
    assert words in describe_tiling(TileConfig(**options))
