"""Pen lines on the glass do no harm, however near to tissue they run; those that touch it are measured with it."""

import cv2
import numpy as np
import pytest

from tilewise.auditing.ink import ink_findings, measure_ink
from tilewise.tissue import tissue_mask

PENS = {"blue": (30, 60, 190), "green": (20, 130, 60), "red": (200, 30, 40), "black": (25, 25, 28)}


def oval():
    """Tissue on glass, uint8 (300, 400, 3), and where it is."""
    noise = np.random.default_rng(0)
    where = np.zeros((300, 400), np.uint8)
    cv2.ellipse(where, (200, 150), (120, 60), 0, 0, 360, 1, -1)
    grain = cv2.GaussianBlur(noise.random((300, 400)).astype(np.float32), (0, 0), 1.2) - 0.5
    density = (where * (0.5 + 3 * grain))[:, :, None] * np.array([0.4, 1.0, 0.5])
    rgb = 243 * 10**-density + noise.normal(0, 1.2, (300, 400, 1))
    return np.clip(rgb, 0, 255).astype(np.uint8), where


def ringed(pen, gap, width=9):
    rgb, where = oval()
    reach = 2 * (gap + width // 2) + 1
    around = cv2.dilate(where, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    outlines, _ = cv2.findContours(around, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.polylines(rgb, outlines, True, PENS[pen], width, cv2.LINE_AA)
    return rgb


def findings(rgb):
    facts = measure_ink(rgb, tissue_mask(rgb), None)
    return facts, list(ink_findings({"slide": facts}))


@pytest.mark.parametrize("pen", PENS)
def test_a_ring_of_pen_that_touches_no_tissue_is_left_alone(pen):
    facts, (finding,) = findings(ringed(pen, gap=14))
    assert (finding.kind, finding.proposal) == ("pen", "keep")
    assert "on the glass" in finding.evidence
    assert facts.tissue_share == 0.0


@pytest.mark.parametrize("pen", PENS)
def test_a_ring_of_pen_on_the_edge_of_tissue_is_taken_out(pen):
    facts, (finding,) = findings(ringed(pen, gap=-4))
    assert (finding.kind, finding.proposal) == ("ink", "repair")
    assert facts.blobs[0].on_tissue
