from pathlib import Path

import pytest

from tilewise.audit import checks
from tilewise.audit.config import AuditConfig
from tilewise.audit.facts import SlideFacts
from tilewise.audit.finding import Finding
from tilewise.audit.groups import infer_groups
from tilewise.cohort import Slide
from tilewise.units import Size


def slide(name, label="A", group=None, mask=True):
    return Slide(name, Path(name), Path("mask_" + name) if mask else None, label, group, None, {})


def fact(pixels="p", mask="m", share=0.3, fault=None):
    return SlideFacts(Size(10, 10), None, "f" + pixels, pixels, (), 0.5, "mf", mask, share, fault)


def cohort(*slides):
    return {item.slide_id: item for item in slides}


def test_the_first_of_equal_slides_stays_and_the_others_go():
    slides = cohort(slide("b"), slide("a"), slide("c"), slide("d"))
    facts = {"a": fact("1"), "b": fact("1"), "c": fact("1"), "d": fact("2")}
    found = {item.slide: item for item in checks.copies(slides, facts, AuditConfig())}
    assert {name: item.proposal for name, item in found.items()} == {"a": "keep", "b": "drop", "c": "drop"}
    assert found["b"].other == "a"


def test_of_equal_slides_the_one_with_a_label_and_a_mask_stays():
    slides = cohort(slide("a", None), slide("b", "A", mask=False), slide("c", "A"))
    facts = {"a": fact("1"), "b": fact("1", mask=None, share=None), "c": fact("1")}
    found = {item.slide: item.proposal for item in checks.copies(slides, facts, AuditConfig())}
    assert found == {"a": "drop", "b": "drop", "c": "keep"}


def test_equal_slides_with_conflicting_labels_all_go_because_nobody_knows_which_is_right():
    slides = cohort(slide("a", "A"), slide("b", "B"))
    found = list(checks.copies(slides, {"a": fact("1"), "b": fact("1")}, AuditConfig()))
    assert [item.proposal for item in found] == ["drop", "drop"]
    assert all("conflicting labels ['A', 'B']" in item.evidence for item in found)


def test_copies_are_kept_when_the_recipe_says_so_and_still_share_a_group():
    slides = cohort(slide("a"), slide("b"))
    found = list(checks.copies(slides, {"a": fact("1"), "b": fact("1")}, AuditConfig(copies="keep")))
    assert [item.proposal for item in found] == ["keep", "keep"]
    groups = infer_groups(slides, found)
    assert groups["a"] == groups["b"]


def test_masks_shared_by_different_slides_are_found_and_full_or_empty_ones_prove_nothing():
    slides = cohort(slide("a"), slide("b", "B"), slide("c"), slide("d"))
    facts = {"a": fact("1"), "b": fact("2"), "c": fact("3", "full", 1.0), "d": fact("4", "full", 1.0)}
    found = list(checks.shared_masks(slides, facts))
    assert [(item.slide, item.other) for item in found] == [("a", "b"), ("b", "a")]
    assert "labels conflict" in found[0].evidence


@pytest.mark.parametrize(
    ("item", "known", "kind"),
    [
        (slide("a", mask=False), fact(), "mask-missing"),
        (slide("a"), fact(share=None, mask=None, fault="a: 5 x 5, not 10 x 10"), "mask-fault"),
        (slide("a"), fact(share=0.0), "mask-empty"),
    ],
)
def test_masks_that_cannot_be_used_are_named(item, known, kind):
    (found,) = checks.masks(cohort(item), {"a": known})
    assert (found.kind, found.proposal) == (kind, "fix-mask")


def test_groups_of_the_table_are_joined_with_what_was_found():
    slides = cohort(slide("a", group="P1"), slide("b", group="P1"), slide("c", group="P2"), slide("d"), slide("e"))
    found = [Finding("d", "exact-copy", "c", "keep", 1.0, ""), Finding("e", "label-missing", "", "keep", 1.0, "")]
    groups = infer_groups(slides, found)
    assert groups == {"a": "P1", "b": "P1", "c": "P2", "d": "P2", "e": "e"}


def test_a_slide_named_like_a_group_does_not_join_it():
    slides = cohort(slide("a", group="x"), slide("x"))
    groups = infer_groups(slides, [])
    assert groups["a"] != groups["x"]
