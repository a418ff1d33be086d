from dataclasses import replace

import pytest

from tests.auditing.slide_facts import cohort, fact, findings_of, slide
from tilewise.auditing.magnification import magnification_findings, scales


def test_scanners_of_one_magnification_are_one_scale_and_twice_as_coarse_is_another():
    mpps = {"b": 0.5, "a": 0.228, "c": 0.25, "d": None, "e": 0.2625}
    assert scales(mpps) == [(0.25, ("a", "c", "e")), (0.5, ("b",))]


@pytest.mark.parametrize("mpps", [[], [None, None], [0.25], [0.25, None, 0.23], [0.5] * 3])
def test_slides_of_one_scale_or_of_none_known_have_no_finding(mpps):
    assert list(magnification_findings(dict(zip("abc", mpps, strict=False)))) == []


def test_slides_of_another_scale_are_named_with_the_key_that_cuts_by_microns():
    slides = cohort(slide("a", "A"), slide("b", "B"), slide("c", "A"))
    facts = {name: replace(fact(name, mask=None), mpp=mpp) for name, mpp in zip("abc", [0.25, 0.5, 0.25], strict=True)}
    (finding,) = [item for item in findings_of(slides, facts) if item.kind == "magnification"]
    assert (finding.slide, finding.proposal) == ("b", "keep")
    for words in ("0.5 microns", "2 of 3 slides have 0.25", "2 times", "tiles.size_um"):
        assert words in finding.evidence
