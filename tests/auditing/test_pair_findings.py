import pytest

from tests.auditing.slide_facts import cohort, fact, slide
from tilewise.auditing.config import AuditConfig
from tilewise.auditing.copies import Pair
from tilewise.auditing.pair_findings import SlideFaults, copy_findings, cross_cohort_findings, section_findings

NO_FAULTS = SlideFaults()


def pair(one, two, relation="copy", derived=None, reason=""):
    return Pair(one, two, relation, "not turned", 0.9, 0.95, 0.99, 0.0, derived, reason)


def proposals(findings):
    return {item.slide: item.proposal for item in findings}


def test_the_first_of_equal_slides_stays_and_the_others_go():
    slides = cohort(slide("b"), slide("a"), slide("c"), slide("d"))
    facts = {"a": fact("1"), "b": fact("1"), "c": fact("1"), "d": fact("2")}
    findings = list(copy_findings(slides, facts, (), NO_FAULTS, AuditConfig()))
    assert proposals(findings) == {"a": "keep", "b": "drop", "c": "drop"}
    assert {(item.slide, item.other) for item in findings} >= {("b", "a"), ("c", "a"), ("a", "b")}
    assert {item.kind for item in findings} == {"exact-copy"}


def test_of_equal_slides_the_one_with_a_label_and_a_mask_stays():
    slides = cohort(slide("a", None), slide("b", mask=False), slide("c"))
    facts = {"a": fact("1"), "b": fact("1", mask=None), "c": fact("1")}
    assert proposals(copy_findings(slides, facts, (), NO_FAULTS, AuditConfig())) == {
        "a": "drop",
        "b": "drop",
        "c": "keep",
    }


def test_a_name_that_a_file_manager_gave_a_copy_goes():
    slides = cohort(slide("img_1 (2).png"), slide("img_1.png"))
    facts = {name: fact("1") for name in slides}
    actions = proposals(copy_findings(slides, facts, (), NO_FAULTS, AuditConfig()))
    assert actions == {"img_1 (2).png": "drop", "img_1.png": "keep"}


@pytest.mark.parametrize(("choice", "first"), [("keep", "keep"), ("drop", "drop")])
def test_conflicting_labels_are_told_and_the_recipe_says_whether_the_best_stays(choice, first):
    slides = cohort(slide("a", "A"), slide("b", "B"))
    facts = {"a": fact("1"), "b": fact("1")}
    findings = list(copy_findings(slides, facts, (), NO_FAULTS, AuditConfig(conflicts=choice)))
    assert proposals(findings) == {"a": first, "b": "drop"}
    assert all("conflicting labels (A, B)" in item.evidence for item in findings)


def test_copies_are_kept_when_the_recipe_says_so():
    slides = cohort(slide("a"), slide("b"))
    findings = copy_findings(
        slides, {"a": fact("1"), "b": fact("2")}, [pair("a", "b")], NO_FAULTS, AuditConfig(copies="keep")
    )
    assert proposals(findings) == {"a": "keep", "b": "keep"}


def test_of_near_copies_the_one_made_from_the_other_goes_whatever_its_name():
    slides = cohort(slide("a"), slide("b"))
    facts = {"a": fact("1"), "b": fact("2")}
    findings = list(
        copy_findings(slides, facts, [pair("a", "b", derived="a", reason="it shows less")], NO_FAULTS, AuditConfig())
    )
    assert proposals(findings) == {"a": "drop", "b": "keep"}
    assert next(item for item in findings if item.slide == "a").evidence.count("it shows less") == 1


def test_the_copy_with_ink_goes_and_its_clean_twin_stays():
    slides = cohort(slide("a"), slide("b"))
    facts = {"a": fact("1"), "b": fact("2")}
    faults = SlideFaults(inked=frozenset({"a"}))
    assert proposals(copy_findings(slides, facts, [pair("a", "b")], faults, AuditConfig())) == {
        "a": "drop",
        "b": "keep",
    }


def test_a_slide_goes_only_where_one_that_it_shows_itself_stays():
    slides = cohort(slide("a"), slide("b"), slide("c"), slide("d"))
    facts = {name: fact(name) for name in slides} | {"d": fact("c")}
    actions = proposals(copy_findings(slides, facts, [pair("a", "b"), pair("b", "c")], NO_FAULTS, AuditConfig()))
    assert actions == {"a": "keep", "b": "drop", "c": "keep", "d": "drop"}


def test_a_copy_that_another_check_drops_does_not_take_its_twin_with_it():
    slides = cohort(slide("a"), slide("z"))
    facts = {"a": fact("1"), "z": fact("2")}
    faults = SlideFaults(grave=frozenset({"a"}))
    assert proposals(copy_findings(slides, facts, [pair("a", "z")], faults, AuditConfig())) == {
        "a": "drop",
        "z": "keep",
    }


def test_an_exact_copy_is_not_told_twice():
    slides = cohort(slide("a"), slide("b"))
    findings = list(copy_findings(slides, {"a": fact("1"), "b": fact("1")}, [pair("a", "b")], NO_FAULTS, AuditConfig()))
    assert {item.kind for item in findings} == {"exact-copy"}


def test_neighbouring_sections_are_kept_both():
    findings = list(section_findings([pair("a", "b", "section"), pair("c", "d")]))
    assert {(item.slide, item.other, item.kind, item.proposal) for item in findings} == {
        ("a", "b", "neighbouring-section", "keep"),
        ("b", "a", "neighbouring-section", "keep"),
    }


def test_slides_of_another_cohort_go_from_this_one_and_its_next_section_stays():
    ours, theirs = {"a": fact("1"), "b": fact("2"), "c": fact("3")}, {"t": fact("1"), "u": fact("9")}
    pairs = [pair("a", "t"), pair("b", "u"), pair("c", "u", "section")]
    actions = {
        item.slide: (item.other, item.proposal) for item in cross_cohort_findings(pairs, ours, theirs, AuditConfig())
    }
    assert actions == {"a": ("t", "drop"), "b": ("u", "drop"), "c": ("u", "keep")}
    actions = proposals(cross_cohort_findings(pairs, ours, theirs, AuditConfig(copies="keep")))
    assert set(actions.values()) == {"keep"}
