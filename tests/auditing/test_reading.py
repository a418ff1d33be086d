from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from tests.auditing.slide_facts import cohort, fact, findings_of, slide
from tilewise.auditing.facts import FactsRequest, measure_slide
from tilewise.auditing.finding import Finding
from tilewise.auditing.reading import left_out_findings, unused_bits
from tilewise.cohort import Slide
from tilewise.slides import SampleRange

FULL = 65_535


def dark(name, proposal="drop"):
    return Finding(name, "dark", "", proposal, 0.9, "its brightest parts reach level 15 of 255")


def test_what_a_reader_left_out_is_a_finding():
    notes = {"a": ("grey repeated in three channels",), "b": ("took page 1 of 2", "left out: page 2 of 2 (97 x 30)")}
    (finding,) = left_out_findings(notes)
    assert (finding.slide, finding.kind, finding.proposal) == ("b", "left-out", "keep")
    assert finding.evidence == "not read: page 2 of 2 (97 x 30)"


def test_one_slide_of_few_bits_is_called_so_and_not_dark():
    ranges = {"a": SampleRange(4080, FULL), "b": SampleRange(60_000, FULL), "c": None}
    blurred = Finding("a", "blurred", "", "keep", 0.6, "")
    findings = unused_bits([dark("a"), blurred, dark("c")], ranges)
    assert [(item.slide, item.kind, item.proposal) for item in sorted(findings)] == [
        ("a", "bit-depth", "drop"), ("a", "blurred", "keep"), ("c", "dark", "drop"),
    ]  # fmt: skip
    evidence = next(item.evidence for item in findings if item.kind == "bit-depth")
    assert "reach 4080 of 65535" in evidence
    assert "Multiply them by 16, or write the tag MaxSampleValue 4095" in evidence


@pytest.mark.parametrize("bits", [10, 12, 14, 15])
def test_a_cohort_that_stops_at_a_power_of_two_is_named_slide_by_slide(bits):
    top = (1 << bits) - 1
    ranges = {name: SampleRange(round(share * top), FULL) for name, share in (("a", 0.95), ("b", 1.0), ("c", 0.4))}
    findings = unused_bits([], ranges)
    assert {item.slide for item in findings} == {"a", "b", "c"}
    assert all(f"all 3 such slides stop at {top} (2^{bits} - 1)" in item.evidence for item in findings)


def test_slides_that_use_their_bits_are_not_named():
    assert unused_bits([dark("a")], {"a": SampleRange(30_000, FULL), "b": SampleRange(65_000, FULL)}) == [dark("a")]
    assert unused_bits([], {name: SampleRange(4080, 4095) for name in "abc"}) == []
    assert unused_bits([], {name: SampleRange(0, FULL) for name in "abc"}) == []


def test_what_is_left_out_of_a_mask_is_a_finding_too(tmp_path):
    slide_path, mask_path = tmp_path / "a.tif", tmp_path / "mask.tif"
    tifffile.imwrite(slide_path, np.full((64, 80, 3), 230, np.uint8), photometric="rgb")
    with tifffile.TiffWriter(mask_path) as file:
        for start in (8, 40):
            mask = np.zeros((64, 80, 3), np.uint8)
            mask[8:40, start : start + 30] = 255
            file.write(mask, photometric="rgb")
    notes = measure_slide(FactsRequest(Slide("a", slide_path, mask_path, "A", None), 10_000)).facts.notes
    (finding,) = left_out_findings({"a": notes})
    assert finding.evidence.startswith("not read: of its mask, page 2 of 2 (80 x 64)")


def test_the_facts_of_a_slide_hold_both(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(np.full((64, 80, 3), 4000, np.uint16), photometric="rgb")
        file.write(np.full((64, 80, 3), 9, np.uint16), photometric="rgb")
    facts = measure_slide(FactsRequest(Slide("a", path, None, "A", None), 10_000)).facts
    assert facts.samples == SampleRange(4000, FULL)
    others = {name: replace(fact(pixels=name), samples=SampleRange(60_000, FULL)) for name in "bc"}
    slides = cohort(slide("a"), slide("b"), slide("c"))
    findings = findings_of(slides, {"a": facts, **others})
    assert {item.kind for item in findings if item.slide == "a"} >= {"left-out", "bit-depth"}
    assert not {item.kind for item in findings if item.slide == "a"} & {"dark", "not-histology"}
    assert not {item.kind for item in findings if item.slide != "a"} & {"left-out", "bit-depth"}
