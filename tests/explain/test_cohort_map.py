"""The map of a cohort, its neighbours, and the chart of it."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from tilewise.explain.cohort_chart import MARKS, cohort_chart, mark
from tilewise.explain.cohort_map import MappedSlide, map_cohort


def cohort(num=24, *, groups=None, wrong=()):
    generator = np.random.default_rng(0)
    slides, vectors = [], {}
    for number in range(num):
        name, label = f"s{number:02d}", "AB"[number % 2]
        predicted = "BA"["AB".index(label)] if number in wrong else label
        group = name if groups is None else groups[number]
        slides.append(MappedSlide(name, label, predicted, 0.1 + 0.8 * (number not in wrong), group))
        vectors[name] = generator.normal(size=6) + 8 * (number % 2)
    return slides, vectors


@pytest.mark.parametrize(("num", "method"), [(24, "t-SNE"), (8, "PCA")])
def test_the_same_features_give_the_same_map_and_like_slides_lie_together(num, method):
    slides, vectors = cohort(num)
    first, second = map_cohort(slides, vectors), map_cohort(slides, vectors)
    assert first.method == method
    assert np.array_equal(first.places_S2, second.places_S2)
    assert (first.places_S2.min(), first.places_S2.max()) == (0, 1)
    places = {label: first.places_S2[[one.label == label for one in slides]].mean(axis=0) for label in "AB"}
    assert np.linalg.norm(places["A"] - places["B"]) > 0.3


def test_neighbours_are_of_other_groups_and_are_the_nearest():
    slides, vectors = cohort(12, groups=[f"g{number // 4}" for number in range(12)])
    near = map_cohort(slides, vectors).neighbours
    for one in slides:
        assert all(other.group != one.group for other in near[one.name])
        assert [other.label for other in near[one.name]][:4] == [one.label] * 4, "of its own label four are there"


def test_slides_with_another_label_than_their_neighbours_come_out_those_of_highest_loss_first():
    slides, vectors = cohort()
    slides[4] = MappedSlide("s04", "B", "A", 0.05, "s04")  # features of A
    slides[7] = MappedSlide("s07", "A", "B", 0.2, "s07")
    chart = map_cohort(slides, vectors)
    assert [one.name for one in chart.disagreeing()] == ["s04", "s07"]
    assert [one.name for one in chart.costliest()] == ["s04", "s07"]
    assert chart.num_agreeing(slides[4]) <= 1 < chart.num_agreeing(slides[0])


def test_the_chart_has_a_mark_for_each_slide_and_a_ring_for_each_wrong_one():
    slides, vectors = cohort(wrong=(3, 6))
    svg = cohort_chart(map_cohort(slides, vectors), ("A", "B"), {"s03": "slide-1"})
    root = ET.fromstring(str(svg))
    points = [node for node in root.iter() if node.get("class") == "mark"]
    assert len(points) == 24
    assert sum(node.get("class") == "wrong" for node in root.iter()) == 2
    assert [node.get("href") for node in points if node.tag == "a"] == ["#slide-1"]
    assert all(node.get("aria-label") and node.get("tabindex") == "0" for node in points)
    assert "2 were predicted wrong" in root.find("title").text


def test_names_of_slides_cannot_break_out_of_the_chart():
    slides, vectors = cohort(8)
    slides[0] = MappedSlide("<script>&", "A", "A", 0.9, "x")
    vectors["<script>&"] = vectors["s00"]
    assert "<script>" not in str(cohort_chart(map_cohort(slides, vectors), ("A", "B"), {}))


def test_classes_differ_in_shape_and_colour():
    classes = [f"class {number}" for number in range(len(MARKS))]
    drawn = [str(mark(name, classes)) for name in classes]
    assert len({text.split('"')[1] for text in drawn}) == len({text.split('"')[3] for text in drawn}) == len(MARKS)
