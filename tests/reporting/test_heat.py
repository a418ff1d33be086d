"""Heat of tiles over thumbnails: one scale, means where tiles overlap, and an answer where there is nothing."""

import base64
import io
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tilewise.errors import ArtifactError
from tilewise.reporting.data import SlideResult
from tilewise.reporting.heat import TileProbabilities, describe_heat, write_tile_probabilities
from tilewise.reporting.render import render_report

RESULT = SlideResult("a.png", "B", "A", 0.9, 0.05, 0, 2)


@pytest.fixture
def table():
    """Two tiles of 100 pixels on a slide of 400 x 200 that overlap by half, and a tile of another slide."""
    rows = {"slide": ["a.png", "a.png", "b.png"], "x": [0, 50, 0], "y": [0, 0, 0]}
    rows |= {"width": 100, "height": 100, "p_A": [1.0, 0.5, 0.2], "p_B": [0.0, 0.3, 0.1], "p_C": [0.0, 0.2, 0.7]}
    return pd.DataFrame(rows)


def pixels(heat):
    data = base64.b64decode(heat.picture.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")).astype(int)


def viridis(value):
    level = np.uint8(round(255 * value))
    return cv2.applyColorMap(np.array([[level]], np.uint8), cv2.COLORMAP_VIRIDIS)[0, 0, ::-1].astype(int)


def test_colours_are_those_of_the_probability_and_of_the_mean_where_tiles_overlap(table):
    predicted, truth = TileProbabilities(table).draw(RESULT, (400, 200)).heats
    assert (predicted.class_name, truth.class_name) == ("A", "B")
    rgba_HWC = pixels(predicted)
    assert rgba_HWC.shape == (120, 240, 4)
    for x, value in ((15, 1.0), (45, 0.75), (75, 0.5)):
        assert np.abs(rgba_HWC[30, x, :3] - viridis(value)).max() <= 8
        assert rgba_HWC[30, x, 3] > 150
    assert rgba_HWC[30, 120, 3] == rgba_HWC[90, 15, 3] == 0
    assert np.abs(pixels(truth)[30, 15, :3] - viridis(0.0)).max() <= 8


def test_nothing_here_is_an_answer(table):
    result = TileProbabilities(table).draw(RESULT, (400, 200))
    predicted, truth = result.heats
    assert predicted.words == "A: 0.50 to 1.00"
    assert truth.words == "B: 0.00 to 0.30; nothing here, no tile is above chance (0.33)"
    assert result.share_for_predicted == 1.0
    right = replace(RESULT, slide="b.png", label="C", predicted="C")
    (only,) = TileProbabilities(table).draw(right, (400, 200)).heats
    assert only.words == "C: 0.70"


def test_the_sentence_tells_right_from_wrong_and_counts_a_slide_once(table):
    heat = TileProbabilities(pd.concat([table, table.tail(1)]))
    wrong = heat.draw(RESULT, (400, 200))
    right = heat.draw(replace(RESULT, slide="b.png", label="B", predicted="B"), (400, 200))
    assert describe_heat([wrong, wrong, right]) == (
        "On the pictured slides, the predicted class leads on 0 % of tiles where the prediction is right, and on 100 % "
        "where it is wrong."
    )
    assert describe_heat([RESULT]) == ""
    of_one_tile = TileProbabilities(table).draw(replace(RESULT, slide="b.png", label="C", predicted="C"), (400, 200))
    assert of_one_tile.heats
    assert describe_heat([of_one_tile]) == ""


def test_a_run_without_the_table_has_no_heat_and_a_damaged_one_is_named(table, tmp_path):
    path = tmp_path / "tile_probabilities.parquet"
    assert TileProbabilities.read(path).draw(RESULT, (400, 200)) == RESULT
    write_tile_probabilities(path, table)
    assert len(TileProbabilities.read(path).draw(RESULT, (400, 200)).heats) == 2
    path.write_bytes(b"PAR1")
    with pytest.raises(ArtifactError, match=r"tile_probabilities\.parquet"):
        TileProbabilities.read(path)


def test_the_report_lays_heat_over_the_thumbnail_without_a_second_copy(table, report_input):
    names = report_input.evaluation["classes"]
    table = table.rename(columns=dict(zip(("p_A", "p_B", "p_C"), (f"p_{name}" for name in names), strict=True)))
    first = report_input.slides[0]
    table["slide"] = first.slide
    slides = (TileProbabilities(table).draw(first, (60, 40)), *report_input.slides[1:])
    page, before = render_report(replace(report_input, slides=slides)), render_report(report_input)
    assert page.count("data:image/jpeg") == before.count("data:image/jpeg")
    assert page.count('href="data:image/png;base64,') == len(slides[0].heats) > 0
    assert '<use class="grey" href="#example-1"/>' in page
    assert 'id="example-1"' in page
    assert describe_heat(slides) in page.replace("&#39;", "'")
    assert "<code>tilewise explain</code> draws where" in before
