"""A frame of scanner fill around slides changes nothing of what an audit says of them."""

import cv2
import numpy as np
import pytest

from tests.auditing.slide_facts import findings_of
from tilewise.auditing.copies import find_pairs
from tilewise.auditing.facts import FactsRequest, measure_slide
from tilewise.auditing.ink import remove_ink
from tilewise.cohort import Slide
from tilewise.stain import fit_picture


def strip(seed, height=210, width=280):
    """A strip of stained tissue with nuclei, on glass; another one for each seed."""
    noise = np.random.default_rng(seed)
    fine = cv2.GaussianBlur(noise.random((height, width)).astype(np.float32), (0, 0), 1.2) - 0.5
    x, y = np.arange(width)[None], np.arange(height)[:, None]
    middle = height * (0.4 + 0.2 * noise.random()) + 14 * np.sin(x / (30 + 30 * noise.random()) + 6 * noise.random())
    tissue = (np.abs(y - middle) < 30 + 8 * np.sin(x / 24)) & (x > 15) & (x < width - 20)
    nuclei = np.zeros((height, width), np.float32)
    for _ in range(260):
        cv2.circle(nuclei, (int(noise.integers(width)), int(noise.integers(height))), 2, 0.9, -1)
    eosin, nuclei = (
        np.where(tissue, np.clip(0.75 + 6 * fine, 0.15, 1.6), 0),
        cv2.GaussianBlur(nuclei, (0, 0), 0.7) * tissue,
    )
    density = eosin[..., None] * np.array([0.09, 0.42, 0.22]) + nuclei[..., None] * np.array([0.75, 0.80, 0.42])
    return np.clip(243 * 10**-density + noise.normal(0, 1.2, (height, width, 1)), 0, 255).astype(np.uint8)


def framed(rgb, level=0, px=60):
    return cv2.copyMakeBorder(rgb, px, px, px, px, cv2.BORDER_CONSTANT, value=(level,) * 3)


def field_of_tissue(seed):
    return np.ascontiguousarray(strip(seed)[95:125, 30:250].repeat(4, axis=0).repeat(2, axis=1))


def audited(folder, pictures):
    slides, measured = {}, {}
    for number, rgb in enumerate(pictures):
        name = f"{number}.png"
        cv2.imwrite(str(folder / name), rgb[:, :, ::-1])
        slides[name] = Slide(name, folder / name, None, "AB"[number % 2], None)
        measured[name] = measure_slide(FactsRequest(slides[name], 10**7))
    facts = {name: item.facts for name, item in measured.items()}
    pairs = find_pairs({name: item.fingerprint for name, item in measured.items()})
    return facts, findings_of(slides, facts, pairs)


@pytest.mark.parametrize("level", [0, 255])
def test_unrelated_slides_in_equal_frames_have_no_finding(tmp_path, level):
    facts, findings = audited(tmp_path, [framed(strip(seed), level) for seed in range(4)])
    assert findings == ()
    assert all(fact.ink.spots == () for fact in facts.values())


def test_fields_of_tissue_in_frames_are_no_sections_of_each_other(tmp_path):
    _, findings = audited(tmp_path, [framed(field_of_tissue(seed)) for seed in range(4)])
    assert [item for item in findings if item.kind in {"neighbouring-section", "ink", "blurred"}] == []


def test_what_is_measured_is_what_is_measured_without_the_frame(tmp_path):
    facts, _ = audited(tmp_path, [strip(3), framed(strip(3))])
    plain, inside = facts["0.png"].quality, facts["1.png"].quality
    assert inside.sharpness == pytest.approx(plain.sharpness, rel=0.02)
    assert inside.density == pytest.approx(plain.density, rel=0.02)
    assert inside.tissue_share == pytest.approx(plain.tissue_share, rel=0.05)


def test_ink_in_a_framed_slide_is_found_where_it_is_and_the_frame_stays(tmp_path):
    rgb = strip(1)
    truth = np.zeros(rgb.shape[:2], np.uint8)
    cv2.circle(truth, (140, 100), 26, 1, -1)
    rgb[truth > 0] = (20, 160, 70)
    facts, findings = audited(tmp_path, [framed(rgb)])
    (spot,) = facts["0.png"].ink.blobs
    assert abs(spot.x + spot.width / 2 - 200) < 6
    assert abs(spot.y + spot.height / 2 - 160) < 6
    assert [(item.kind, item.proposal) for item in findings] == [("ink", "repair")]
    repaired = remove_ink(framed(rgb), None)
    assert repaired.ink[60:-60, 60:-60][truth > 0].all()
    assert (repaired.rgb[:55] == 0).all()
    np.testing.assert_array_equal(repaired.rgb[~repaired.ink], framed(rgb)[~repaired.ink])


def test_stains_are_fitted_to_what_is_inside_the_frame():
    plain, inside = fit_picture(strip(2), "macenko"), fit_picture(framed(strip(2)), "macenko")
    assert inside.glass == pytest.approx(plain.glass, abs=1)
    np.testing.assert_allclose(inside.stain_matrix, plain.stain_matrix, atol=0.02)
