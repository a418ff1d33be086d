from dataclasses import replace

import pytest

from tests.auditing.slide_facts import cohort, fact, findings_of, slide
from tilewise.auditing.checks import check_failures
from tilewise.auditing.copies import Pair
from tilewise.auditing.histology.detail import Detail
from tilewise.auditing.histology.stain_plane import StainColour
from tilewise.auditing.ink import InkFacts, InkSpot
from tilewise.execution import Failure

BLOB = InkFacts((InkSpot("green", "blob", 0, 0, 9, 9, 0.2, 0.3, 0.4, True, 0.99),), 0.2, 0.3, 0.4)


def pair(one, two):
    return Pair(one, two, "copy", "not turned", 1.0, 0.99, 1.0, 0.0)


def decided(findings, name):
    return {item.kind: item.proposal for item in findings if item.slide == name}


@pytest.mark.parametrize(("choice", "proposal"), [("repair", "repair"), ("drop", "drop"), ("keep", "keep")])
def test_ink_is_treated_as_the_recipe_says(choice, proposal):
    findings = findings_of(cohort(slide("a")), {"a": fact(ink=BLOB)}, ink=choice)
    assert decided(findings, "a")["ink"] == proposal


def test_an_inked_slide_whose_clean_twin_is_here_is_dropped_not_repaired():
    slides = cohort(slide("a"), slide("b"))
    findings = findings_of(slides, {"a": fact("1", ink=BLOB), "b": fact("2")}, [pair("a", "b")])
    assert decided(findings, "a")["ink"] == "drop"
    assert "clean twin b" in next(item.evidence for item in findings if item.kind == "ink")
    assert set(decided(findings, "b").values()) == {"keep"}


def test_of_two_inked_copies_one_stays_and_is_repaired():
    slides = cohort(slide("a"), slide("b"))
    findings = findings_of(slides, {"a": fact("1", ink=BLOB), "b": fact("2", ink=BLOB)}, [pair("a", "b")])
    assert decided(findings, "a")["ink"] == "repair"
    assert decided(findings, "b")["ink"] == "drop"


def test_a_slide_whose_tissue_lies_under_one_large_blob_is_repaired_not_called_a_drawing():
    plain = Detail((0.1, 0.1, 0.1), (1.0, 1.0, 1.0), 0.3, 0.0, 0.5, 0.9, 1.0, 0.5)
    green = StainColour(0.3, 0.4, 0.3, 0.8, 0.0, 0.2, 0.0, 0.0, 0.1, 0.1)
    inked = fact(ink=BLOB)
    painted = replace(inked, histology=replace(inked.histology, num_cells=20, colour=green, detail=plain))
    assert decided(findings_of(cohort(slide("a")), {"a": painted}), "a")["ink"] == "repair"
    drops = replace(BLOB, spots=BLOB.spots * 5)
    drawn = replace(painted, ink=drops)
    assert decided(findings_of(cohort(slide("a")), {"a": drawn}), "a")["not-histology"] == "drop"


def test_clean_slides_have_no_findings():
    slides = cohort(slide("a"), slide("b"))
    assert findings_of(slides, {"a": fact("1", "m"), "b": fact("2", "n")}) == ()


def test_findings_come_in_order_whatever_the_order_of_the_slides():
    names = ["c", "a", "b"]
    slides = cohort(slide("labelled"), *[slide(name, None) for name in names])
    findings = findings_of(slides, {name: fact(name, name) for name in names})
    assert [item.slide for item in findings] == ["a", "b", "c"]


def test_slides_that_cannot_be_read_are_told_from_those_that_are_too_large():
    failures = (
        Failure("a", "audit", "SlideUnreadable", "broken off"),
        Failure("b", "audit", "SlideTooLarge", "30000 x 30000"),
    )
    assert [(item.slide, item.kind, item.proposal) for item in check_failures(failures)] == [
        ("a", "unreadable", "drop"),
        ("b", "too-large", "drop"),
    ]
