from __future__ import annotations

from dataclasses import replace

from tilewise.auditing.ink import InkFacts, InkSpot, ink_findings

SPOT = InkSpot("green", "blob", 10, 20, 30, 40, 0.03, 0.12, 0.4, on_tissue=True, confidence=0.9)
PEN = InkSpot("blue", "pen", 0, 0, 300, 5, 0.002, 0.0, 0.0, on_tissue=False, confidence=0.7)


def test_nothing_is_found_without_ink() -> None:
    assert list(ink_findings({"a": InkFacts()})) == []


def test_blob_is_to_be_repaired_and_the_sentence_says_where() -> None:
    facts = InkFacts((SPOT,), 0.03, 0.12, 0.4)
    ink, on_mask = ink_findings({"a": facts})
    assert (ink.slide, ink.kind, ink.proposal, ink.confidence) == ("a", "ink", "repair", 0.9)
    assert ink.evidence == "green blob over 12 % of the tissue and 40 % of the mask"
    assert (on_mask.kind, on_mask.proposal) == ("mask-on-ink", "repair")
    assert on_mask.evidence == "40 % of the mask marks ink"


def test_mask_of_ink_alone_is_to_be_fixed() -> None:
    spot = replace(SPOT, mask_share=0.95)
    _, on_mask = ink_findings({"a": InkFacts((spot,), 0.03, 0.12, 0.95)})
    assert on_mask.proposal == "fix-mask"


def test_pens_and_small_spots_on_glass_are_kept() -> None:
    small = replace(SPOT, area_share=0.001, tissue_share=0.0, mask_share=0.0, on_tissue=False)
    findings = list(ink_findings({"a": InkFacts((small, PEN), 0.001, 0.0, 0.0)}))
    assert [(item.kind, item.proposal) for item in findings] == [("ink", "keep"), ("pen", "keep")]


def test_large_blob_on_glass_is_repaired() -> None:
    glass = replace(SPOT, tissue_share=0.0, mask_share=0.0, on_tissue=False)
    (finding,) = ink_findings({"a": InkFacts((glass,), 0.03, 0.0, 0.0)})
    assert (finding.proposal, finding.evidence) == ("repair", "green blob over 3 % of the slide, on glass")


def test_several_spots_are_one_finding() -> None:
    other = replace(SPOT, colour="red", tissue_share=0.05, mask_share=0.0, confidence=0.8)
    ink, _ = ink_findings({"a": InkFacts((SPOT, other), 0.06, 0.17, 0.4)})
    assert ink.evidence == "2 green and red blobs over 17 % of the tissue and 40 % of the mask"
