from dataclasses import replace

from tests.auditing.slide_facts import cohort, fact, slide
from tests.auditing.test_pair_findings import NO_FAULTS, pair, proposals
from tilewise.auditing.pair_findings import SlideFaults
from tilewise.auditing.shared_masks import shared_mask_findings


def test_masks_shared_by_different_slides_are_found_and_full_or_empty_ones_prove_nothing():
    slides = cohort(slide("a"), slide("b", "B"), slide("c"), slide("d"))
    facts = {"a": fact("1"), "b": fact("2"), "c": fact("3", "full", 1.0), "d": fact("4", "full", 1.0)}
    findings = list(shared_mask_findings(slides, facts, (), NO_FAULTS))
    assert [(item.slide, item.other, item.proposal) for item in findings] == [("a", "b", "keep"), ("b", "a", "keep")]
    assert "conflicting labels (A, B)" in findings[0].evidence


def test_of_slides_with_one_mask_the_one_that_is_no_histology_goes():
    slides = cohort(slide("a"), slide("b"), slide("c"))
    facts = {"a": fact("1"), "b": fact("2"), "c": fact("3")}
    findings = list(shared_mask_findings(slides, facts, (), SlideFaults(not_histology=frozenset({"a"}))))
    assert proposals(findings) == {"a": "drop", "b": "keep", "c": "keep"}
    assert {item.slide: item.other for item in findings}["a"] == "b"


def far(**distances):
    return SlideFaults(distances=distances)


def test_of_two_slides_with_one_mask_the_one_far_from_the_cohort_was_made_from_the_other():
    slides = cohort(slide("a"), slide("b"))
    facts = {"a": fact("1"), "b": fact("2")}
    findings = list(shared_mask_findings(slides, facts, (), far(a=2.4, b=1.1)))
    assert proposals(findings) == {"a": "drop", "b": "keep"}
    assert "lies 2.2 times as far" in findings[0].evidence
    assert proposals(shared_mask_findings(slides, facts, (), far(a=1.4, b=0.5))) == {"a": "keep", "b": "keep"}
    assert proposals(shared_mask_findings(slides, facts, (), far(a=2.4, b=2.1))) == {"a": "keep", "b": "keep"}
    assert proposals(shared_mask_findings(slides, facts, (), far(a=2.4))) == {"a": "keep", "b": "keep"}


def test_a_copy_another_stain_an_ink_and_a_template_are_not_taken_for_fakes():
    slides = cohort(*(slide(name) for name in "abcdef"))
    facts = {name: fact(name) for name in "ab"}
    distances = {"a": 2.4, "b": 1.1}
    assert proposals(shared_mask_findings(slides, facts, [pair("a", "b")], far(**distances))) == {
        "a": "keep",
        "b": "keep",
    }
    for what in ({"other_stain": frozenset("a")}, {"inked": frozenset("a")}):
        faults = replace(far(**distances), **what)
        assert proposals(shared_mask_findings(slides, facts, (), faults)) == {"a": "keep", "b": "keep"}
    facts = {name: fact(name) for name in "abcdef"}
    findings = shared_mask_findings(slides, facts, (), far(**dict.fromkeys("bcdef", 1.0), a=3.0))
    assert set(proposals(findings).values()) == {"keep"}
