"""Maps of slides: one scale for a page, and nothing where there is nothing to be seen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tilewise.auditing.cohort import AuditedSlide
from tilewise.cohort import Slide
from tilewise.explain.objects import slide_objects
from tilewise.explain.occlusion import Occlusion
from tilewise.explain.slide import LEAST_LOGIT, MapScales, SlideExplained, maps_of
from tilewise.explain.values import TileValues
from tilewise.units import Size

CANVAS = Size(8, 4)
BOXES = np.array([[0, 0, 8, 8], [8, 0, 8, 8]])


def explained(*, activation=None, attention=None, falls=None, num=2):
    slide = AuditedSlide(Slide("a", Path("a.png")), Size(16, 8), None, "a", False, "", "", ())
    occlusion = None if falls is None else Occlusion(np.arange(num), np.array(falls, np.float32)[:, None, None])
    cam = None if activation is None else np.full((num, 2, 2), activation / 4, np.float32)
    weights = None if attention is None else np.array(attention)
    values = TileValues(BOXES[:num], BOXES[:num], np.linspace(0.2, 0.6, num), weights, cam, occlusion)
    return SlideExplained(slide, "A", 0.6, "A", 0.6, values, probabilities={"A": 0.6, "B": 0.2, "C": 0.2}, label="B")


def drawn(one, *others):
    return {
        one_map.title.split(":")[0].split(" ")[0]: one_map
        for one_map in maps_of(one, CANVAS, MapScales.of([one, *others]))
    }


@pytest.mark.parametrize(
    ("parts", "has_map"),
    [
        ({"num": 2}, True),
        ({"num": 1}, False),
        ({"num": 1, "activation": 1.0}, True),
        ({"num": 1, "falls": [0.1]}, True),
    ],
)
def test_a_slide_of_one_tile_has_a_map_only_of_what_differs_inside_it(parts, has_map):
    one = explained(**parts)
    assert one.has_map is bool(drawn(one)) is has_map


def test_activation_that_moves_nothing_has_no_colours_and_says_so():
    (faint,) = [one for name, one in drawn(explained(activation=1e-12)).items() if name == "activation"]
    assert np.isnan(faint.values).all()
    assert faint.note.startswith("nothing here")
    strong = drawn(explained(activation=2.0))["activation"]
    assert not strong.note
    assert strong.values == pytest.approx(2.0), "in units of the logit, whatever the grid"


def test_all_slides_of_a_page_have_one_scale_with_a_floor():
    weak, strong = explained(activation=0.5, falls=[0.1, -0.2]), explained(activation=4.0, falls=[0.5, 0.1])
    assert drawn(weak, strong)["activation"].high == drawn(strong, weak)["activation"].high == pytest.approx(4)
    left_out = drawn(weak, strong)["left"]
    assert (left_out.low, left_out.high) == (pytest.approx(-0.5, abs=0.01), pytest.approx(0.5, abs=0.01))
    assert MapScales.of([explained(activation=1e-12)]).activation == LEAST_LOGIT
    assert MapScales.of([explained(attention=[0.5, 0.5])]).attention == 2


def test_even_attention_and_tiles_that_move_nothing_say_so():
    maps = drawn(explained(attention=[0.5, 0.5], falls=[1e-6, 0.0]))
    assert maps["attention"].note == "nothing here: all tiles count alike"
    assert maps["left"].note.startswith("nothing here")
    assert not drawn(explained(attention=[0.9, 0.1]))["attention"].note


def test_a_slide_of_one_tile_has_no_panel_of_one_colour():
    assert drawn(explained(num=1, attention=[1.0])) == {}
    assert list(drawn(explained(num=1, activation=2.0))) == ["activation"]


def test_chance_is_marked_on_the_scale_of_probabilities():
    assert drawn(explained())["probability"].mark == (pytest.approx(1 / 3), "chance, 0.33")
    assert drawn(replace(explained(), probabilities={}))["probability"].mark is None


def test_objects_hold_what_is_known_of_each_tile():
    slide, *tiles = slide_objects(explained(activation=2.0, attention=[0.75, 0.25], falls=[0.5, -0.5]), ("A", "B", "C"))
    assert (slide.kind, slide.name) == ("annotation", "predicted A")
    assert slide.measurements == {"probability A": 0.6, "probability B": 0.2, "probability C": 0.2}
    assert [tile.kind for tile in tiles] == ["tile", "tile"]
    assert tiles[0].measurements == {
        "probability A": pytest.approx(0.2),
        "attention": 0.75,
        "class activation": pytest.approx(0.5),
        "log odds lost without it": 0.5,
    }
    assert tiles[1].polygons == [[[(8, 0), (16, 0), (16, 8), (8, 8)]]]
