"""Checks of maps on drawn slides: where the signal is said to be known, and what heat on and beside it scores."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tilewise.auditing.cohort import AuditedSlide
from tilewise.cohort import Slide
from tilewise.explain.slide import SlideExplained
from tilewise.explain.values import TileValues
from tilewise.pipeline.map_checks import _localisations, planted_signal
from tilewise.store import write_json
from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.plan import plan_cohort
from tilewise.synthetic.truth import SCHEMA, VERSION, truth_summary
from tilewise.units import Size


@pytest.mark.parametrize(
    ("settings", "expected"), [({}, True), ({"signal": "mask_shape"}, False), ({"faults": 1}, False)], ids=str
)
def test_the_signal_is_known_where_it_was_drawn_into_the_tissue_of_whole_masks(tmp_path, settings, expected):
    config = SynthConfig(num_slides=8, **settings)
    summary = truth_summary(config, plan_cohort(config))
    write_json(tmp_path / "truth" / "truth.json", summary, schema=SCHEMA, version=VERSION)
    assert planted_signal(tmp_path) is expected


def test_of_other_cohorts_nothing_is_known(tmp_path):
    assert not planted_signal(tmp_path)
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "truth.json").write_text("{", "utf-8")
    assert not planted_signal(tmp_path)


@pytest.fixture
def one(tmp_path):
    mask = np.zeros((40, 80), np.uint8)
    mask[:, :20] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    slide = Slide("a", tmp_path / "a.png", tmp_path / "mask.png")
    audited = AuditedSlide(slide, Size(80, 40), None, "a", True, "", "", ())
    boxes = np.array([[20 * number, 0, 20, 40] for number in range(4)])
    return SlideExplained(
        audited, "A", 0.9, "A", 0.9, TileValues(boxes, boxes, np.array([0.9, 0.1, 0.5, 0.2])), label="A"
    )


def test_heat_on_the_signal_scores_and_heat_beside_it_does_not(one):
    on = _localisations(one)["probability"]
    assert (on.auroc, on.hit, on.chance) == (1.0, True, pytest.approx(0.25))
    beside = replace(one, values=replace(one.values, probabilities_T=np.array([0.1, 0.9, 0.5, 0.2])))
    assert (_localisations(beside)["probability"].auroc, _localisations(beside)["probability"].hit) == (0.0, False)


def test_slides_drawn_for_another_class_and_tiles_that_all_lie_on_the_signal_are_not_scored(one):
    assert _localisations(replace(one, label="B")) == {}
    boxes = np.array([[0, 0, 20, 40], [10, 0, 20, 40]])
    straddling = TileValues(boxes, boxes, np.array([0.9, 0.1]))
    assert _localisations(replace(one, values=straddling)) == {}
