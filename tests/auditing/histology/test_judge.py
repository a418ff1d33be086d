"""Tissue is told from what only has its outline, and one stain from another."""

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

from tests.drawn import draw_slide as draw_small_slide
from tilewise.auditing.histology import (
    HistologyFacts,
    histology_score,
    measure_histology,
    not_histology,
    other_stain,
    own_evidence,
)
from tilewise.slides import read_image
from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.faults.cartoons import CARTOON_FAMILIES, draw_cartoon
from tilewise.synthetic.plan import plan_cohort
from tilewise.synthetic.slide import DrawnSlide, draw_slide
from tilewise.tissue import tissue_mask

_NUM = 24


def _measure(rgb: npt.NDArray[np.uint8]) -> HistologyFacts:
    return measure_histology(rgb, tissue_mask(rgb))


@cache
def _slides() -> tuple[DrawnSlide, ...]:
    config = SynthConfig(num_slides=_NUM, seed=77, min_side_px=512)
    return tuple(draw_slide(config, planned) for planned in plan_cohort(config).values())


@cache
def _clean() -> dict[str, HistologyFacts]:
    return {f"clean {index}": _measure(slide.rgb) for index, slide in enumerate(_slides())}


@cache
def _cartoons() -> dict[str, HistologyFacts]:
    facts = {}
    for index, family in enumerate(CARTOON_FAMILIES):
        slide = _slides()[index]
        drawn = draw_cartoon(np.random.default_rng(index), slide.rgb, tissue=slide.tissue, family=family)
        facts[f"{family} {index}"] = _measure(drawn)
    return facts


def test_clean_slides_are_histology() -> None:
    assert list(not_histology(_clean())) == []
    assert list(other_stain(_clean())) == []


@pytest.mark.parametrize("family", CARTOON_FAMILIES)
def test_a_cartoon_among_clean_slides_is_dropped(family: str) -> None:
    (name,) = (name for name in _cartoons() if name.startswith(family + " "))
    findings = list(not_histology({**_clean(), name: _cartoons()[name]}))
    assert [(finding.slide, finding.proposal) for finding in findings] == [(name, "drop")]
    assert findings[0].confidence > 0.7


def test_a_cartoon_scores_below_its_clean_twin() -> None:
    for name, facts in _cartoons().items():
        assert histology_score(facts) < histology_score(_clean()[f"clean {name.split()[-1]}"]), name


@pytest.mark.parametrize("spoil", ["blurred", "dark", "bright", "recompressed"])
def test_a_poor_scan_is_still_histology(spoil: str) -> None:
    rgb = _slides()[3].rgb
    spoilt = {
        "blurred": lambda: cv2.GaussianBlur(rgb, (0, 0), 3.0),
        "dark": lambda: (rgb * 0.4).astype(np.uint8),
        "bright": lambda: cv2.convertScaleAbs(rgb, alpha=1.2),
        "recompressed": lambda: cv2.imdecode(cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 1),
    }[spoil]()
    assert [finding.slide for finding in not_histology({**_clean(), "poor": _measure(spoilt)})] == []


def test_ink_alone_does_not_put_a_slide_far_from_the_rest() -> None:
    """A half transparent smear over tissue mixes colours that no two dyes mix to."""
    slide = _slides()[5]
    y, x = np.argwhere(slide.tissue)[int(slide.tissue.sum()) // 2]
    smear = np.zeros(slide.tissue.shape, np.float32)
    cv2.ellipse(smear, (int(x), int(y)), (110, 45), 20, 0, 360, 0.75, -1, cv2.LINE_AA)
    mixed = slide.rgb * (1 - smear[..., None]) + smear[..., None] * np.array([40, 120, 200])
    facts = {**_clean(), "inked": _measure(mixed.astype(np.uint8))}
    assert [finding.slide for finding in not_histology(facts, {"inked"})] == []
    cartoons = {name: fact for name, fact in _cartoons().items() if fact.detail is not None}
    for name, fact in cartoons.items():  # what is drawn stays a drawing, whatever ink is found on it
        assert [finding.slide for finding in not_histology({**_clean(), name: fact}, {name})] == [name]


def test_a_blob_of_ink_does_not_make_a_slide_a_drawing() -> None:
    slide = _slides()[5]
    rgb, tissue = slide.rgb.copy(), np.argwhere(slide.tissue)
    y, x = tissue[len(tissue) // 2]
    cv2.circle(rgb, (int(x), int(y)), 40, (20, 170, 60), -1, cv2.LINE_AA)
    assert [finding.slide for finding in not_histology({**_clean(), "inked": _measure(rgb)})] == []


@pytest.mark.parametrize("place", ["middle", "edge", "across", "many"])
@pytest.mark.parametrize("glass", ["own", "flat", "white"])
def test_a_sharp_hole_of_plain_glass_leaves_a_slide_tissue(place: str, glass: str) -> None:
    slide = _slides()[3]
    rng = np.random.default_rng(0)
    rgb, tissue, bare = slide.rgb.copy(), np.argwhere(slide.tissue), slide.rgb[~slide.tissue]
    centres = {
        "middle": tissue[[len(tissue) // 2]],
        "edge": tissue[[0]],
        "across": tissue[[len(tissue) // 2]],
        "many": tissue[rng.choice(len(tissue), 12, replace=False)],
    }[place]
    apart = np.abs(tissue[:, None] - centres[None])
    distances = (apart[:, :, 0] if place == "across" else np.hypot(*np.moveaxis(apart, 2, 0))).min(axis=1)
    hole = tuple(tissue[np.argsort(distances, kind="stable")[: len(tissue) // 10]].T)
    fills = {"own": rng.choice(bare, len(hole[0])), "flat": np.median(bare, axis=0), "white": np.array([255] * 3)}
    rgb[hole] = fills[glass]
    facts = {**_clean(), "torn": _measure(rgb)}
    assert [*not_histology(facts), *other_stain(facts)] == []


@pytest.mark.parametrize("torn", [False, True])
def test_a_white_hole_in_a_field_of_warm_light_does_not_change_its_stain(torn: bool) -> None:
    """Nothing in such a field but the hole is near white, and against white its light takes blue, as brown dyes do."""
    light, pale = np.array([215, 222, 194]), ((0.65, 0.70, 0.29), (0.035, 0.50, 0.055))
    facts = {}
    for name, dyes, depth in (("clean", pale, 0.2), ("brown", (pale[0], (0.27, 0.57, 0.78)), 0.5)):
        rng = np.random.default_rng(0)
        density = sum(cv2.GaussianBlur(rng.random((240, 320)), (0, 0), 2.0)[..., None] * np.array(dye) for dye in dyes)
        rgb = (light * 10.0 ** (-depth * density)).astype(np.uint8)
        rgb[:, :12] = light
        if torn:
            rgb[:, 140:172] = 255
        facts[name] = _measure(rgb)
    assert facts["clean"].colour is not None
    assert list(not_histology(facts)) == []
    assert {finding.slide for finding in other_stain(facts)} == {"brown"}


def test_flat_colours_in_the_outline_need_no_cohort() -> None:
    slide = _slides()[0]
    rgb = slide.rgb.copy()
    rgb[slide.tissue] = (200, 120, 170)
    (finding,) = not_histology({"flat": _measure(rgb)})
    assert finding.proposal == "drop"
    assert "flat" in finding.evidence


def test_another_stain_is_noticed_and_dropped_when_alone() -> None:
    brown = np.array([0.27, 0.57, 0.78])
    rgb = _slides()[1].rgb
    depth = -np.log10((rgb.astype(float).mean(axis=2) + 1) / 256)
    stained = np.clip(255 * 10 ** (-depth[..., None] * brown / brown.mean()), 0, 255).astype(np.uint8)
    facts = _measure(stained)
    findings = {finding.slide: finding.proposal for finding in other_stain({"a": facts, "b": facts})}
    assert findings == {"a": "keep", "b": "keep"}
    few = dict(list(_clean().items())[:6])
    assert {finding.slide: finding.proposal for finding in other_stain({**few, "a": facts})} == {"a": "drop"}
    assert facts.colour is not None
    tinted = replace(facts, colour=replace(facts.colour, tint=0.14))
    (finding,) = other_stain({**few, "a": tinted})
    assert (finding.proposal, "its light is tinted (14 %)" in finding.evidence) == ("keep", True)


def test_small_noisy_slides_of_other_tests_are_left_alone(tmp_path: Path) -> None:
    facts = {}
    for number in range(_NUM):
        draw_small_slide(tmp_path / f"{number}.png", number, klass=number % 2)
        facts[str(number)] = _measure(read_image(tmp_path / f"{number}.png"))
    assert [*not_histology(facts), *other_stain(facts)] == []
    few = dict(list(facts.items())[:5])
    assert [*not_histology(few), *other_stain(few)] == []


@pytest.mark.parametrize("shape", [(1, 1), (20, 300), (30, 30), (96, 128)])
def test_blank_and_tiny_pictures_tell_nothing(shape: tuple[int, int]) -> None:
    for level in (0, 120, 255):
        facts = _measure(np.full((*shape, 3), level, np.uint8))
        assert 0.0 <= histology_score(facts) <= 1.0
    facts = _measure(np.full((*shape, 3), 255, np.uint8))
    assert histology_score(facts) == 0.5
    assert list(not_histology({"blank": facts})) == []


def test_facts_survive_json() -> None:
    facts = _clean()["clean 0"]
    assert TypeAdapter(HistologyFacts).validate_json(json.dumps(asdict(facts))) == facts
    empty = replace(facts, colour=None, detail=None, embedding=())
    assert TypeAdapter(HistologyFacts).validate_json(json.dumps(asdict(empty))) == empty


def test_order_of_slides_does_not_matter() -> None:
    facts = {**_clean(), **dict(list(_cartoons().items())[:3])}
    backwards = dict(reversed(list(facts.items())))
    assert list(not_histology(facts)) == list(not_histology(backwards))


@pytest.mark.real
@pytest.mark.parametrize(
    "pattern",
    ["osteosarcoma/images/*", "breakhis/*/*.png", "brecahad/images/*", "camelyon_tiles/images/*", "colorectal/*/*/*"],
)
def test_real_sections_are_histology(data_dir: Path, pattern: str) -> None:
    paths = sorted(data_dir.glob(pattern))[:30]
    facts = {str(path.relative_to(data_dir)): _measure(read_image(path)) for path in paths}
    assert [*not_histology(facts), *other_stain(facts)] == []
    assert all(sum(item.weight for item in own_evidence(fact)) < 0.3 for fact in facts.values())


@pytest.mark.real
def test_sections_in_green_light_are_kept(data_dir: Path) -> None:
    paths = sorted((data_dir / "oral/train/normal").glob("Normal_100x_1*.jpg"))
    facts = {path.name: _measure(read_image(path)) for path in paths}
    findings = list(other_stain(facts))
    assert {"Normal_100x_16.jpg", "Normal_100x_18.jpg"} <= {finding.slide for finding in findings}
    assert {finding.proposal for finding in findings} == {"keep"}


@pytest.mark.real
def test_immunostains_are_noticed_and_their_neighbour_is_not(data_dir: Path) -> None:
    paths = sorted((data_dir / "stain/serial_sections_lung").glob("*.jpg"))
    facts = {path.name: _measure(read_image(path)) for path in paths}
    noticed = {finding.slide for finding in other_stain(facts)}
    assert noticed == {path.name for path in paths if "-He-" not in path.name}
    assert len(noticed) == 4
