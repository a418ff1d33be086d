"""Slides of no use are named, and soft or pale but usable ones are not dropped."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from pydantic import TypeAdapter

from tilewise.auditing.quality import QualityFacts, measure_quality, quality_findings
from tilewise.slides import read_image
from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.plan import plan_cohort
from tilewise.synthetic.slide import draw_slide
from tilewise.tissue import tissue_mask


def _measure(rgb: npt.NDArray[np.uint8]) -> QualityFacts:
    return measure_quality(rgb, tissue_mask(rgb))


@cache
def _pixels() -> tuple[npt.NDArray[np.uint8], ...]:
    config = SynthConfig(num_slides=20, seed=5, min_side_px=512)
    return tuple(draw_slide(config, planned).rgb for planned in plan_cohort(config).values())


@cache
def _clean() -> dict[str, QualityFacts]:
    return {str(index): _measure(rgb) for index, rgb in enumerate(_pixels())}


def _kinds(facts: QualityFacts) -> dict[str, str]:
    return {item.kind: item.proposal for item in quality_findings({**_clean(), "odd": facts}) if item.slide == "odd"}


def test_clean_slides_have_no_proposal_but_keep() -> None:
    assert [finding for finding in quality_findings(_clean()) if finding.proposal != "keep"] == []


def test_blank_glass_is_dropped() -> None:
    assert _kinds(_measure(np.full((512, 700, 3), 240, np.uint8))) == {"blank": "drop"}


def test_a_ruler_is_named_since_its_lines_are_no_tissue() -> None:
    ruler = np.full((300, 400, 3), 240, np.uint8)
    ruler[150:152, 20:380] = 15
    for x in range(20, 380, 10):
        ruler[150 : 190 if x % 50 else 170, x : x + 2] = 15
    assert _kinds(_measure(ruler)) == {"blank": "keep"}


@pytest.mark.parametrize(("sigma", "proposal"), [(1.5, "keep"), (6.0, "drop")])
def test_blur_is_named_and_a_hopeless_one_dropped(sigma: float, proposal: str) -> None:
    blurred = cv2.GaussianBlur(_pixels()[2], (0, 0), sigma)
    assert _kinds(_measure(blurred))["blurred"] == proposal


@pytest.mark.parametrize(("gain", "proposal"), [(0.62, "keep"), (0.25, "drop")])
def test_darkness_is_named_and_a_hopeless_one_dropped(gain: float, proposal: str) -> None:
    assert _kinds(_measure((_pixels()[4] * gain).astype(np.uint8)))["dark"] == proposal


def test_clipped_light_is_named() -> None:
    assert _kinds(_measure(cv2.convertScaleAbs(_pixels()[6], alpha=1.6)))["bright"] == "keep"


def test_tissue_washed_out_by_light_is_not_called_blank() -> None:
    pale = (255.0 - (255.0 - _pixels()[7].astype(np.float32)) * 0.12).round().astype(np.uint8)
    assert _kinds(_measure(pale)) == {"bright": "drop"}


def test_far_less_tissue_is_named() -> None:
    facts = _clean()["3"]
    assert _kinds(replace(facts, tissue_share=facts.tissue_share / 20)) == {"tissue-area": "keep"}
    assert _kinds(replace(facts, tissue_share=facts.tissue_share / 80, density=0.3)) == {"tissue-area": "drop"}


def test_few_slides_are_not_compared() -> None:
    facts = _clean()["3"]
    assert list(quality_findings({"a": facts, "b": replace(facts, tissue_share=facts.tissue_share / 8)})) == []


def test_sharpness_does_not_depend_on_stain_or_noise() -> None:
    rgb = _pixels()[1]
    pale = (255.0 - (255.0 - rgb.astype(np.float32)) * 0.6).astype(np.uint8)
    grain = np.random.default_rng(0).normal(0, 3, rgb.shape)
    noisy = np.clip(rgb + grain, 0, 255).astype(np.uint8)
    plain = _measure(rgb).sharpness
    assert plain is not None
    assert _measure(pale).sharpness == pytest.approx(plain, rel=0.15)
    assert _measure(noisy).sharpness == pytest.approx(plain, rel=0.15)


def test_facts_survive_json() -> None:
    for facts in (_clean()["0"], _measure(np.full((8, 8, 3), 255, np.uint8))):
        assert TypeAdapter(QualityFacts).validate_json(json.dumps(asdict(facts))) == facts


@pytest.mark.real
@pytest.mark.parametrize("pattern", ["osteosarcoma/images/*", "breakhis/*/*.png", "brecahad/images/*"])
def test_real_slides_are_not_dropped(data_dir: Path, pattern: str) -> None:
    facts = {path.name: _measure(read_image(path)) for path in sorted(data_dir.glob(pattern))[:24]}
    assert [finding for finding in quality_findings(facts) if finding.proposal != "keep"] == []
