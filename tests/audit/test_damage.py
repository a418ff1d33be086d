"""Slides of which a decoder painted a part grey."""

import io

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tilewise.audit.damage import damage_findings, painted_share


def tissue(height=160, width=232):
    generator = np.random.default_rng(3)
    pixels = generator.normal((190, 130, 180), 25, (height, width, 3))
    return cv2.GaussianBlur(pixels.clip(0, 255).astype(np.uint8), (0, 0), 1)


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"restart_marker_rows": 3}])
def test_what_libjpeg_painted_is_found_in_a_slide_that_was_saved_again(options):
    stream = io.BytesIO()
    Image.fromarray(tissue()).save(stream, "JPEG", quality=90, **options)
    data = stream.getvalue()
    middle = len(data) // 2
    painted = imagecodecs.jpeg8_decode(data[:middle] + data[-2:])  # its second half is lost
    share = painted_share(painted)
    truth = (painted == 128).all(axis=2).mean()
    assert truth > 0.25
    assert share == pytest.approx(truth, abs=0.03)
    (finding,) = damage_findings({"a": share, "b": 0.0})
    assert (finding.slide, finding.kind, finding.proposal) == ("a", "damaged", "drop")
    assert f"{100 * share:.0f} %" in finding.evidence


@pytest.mark.parametrize("grey", [0, 128, 200, 255])
def test_frames_and_glass_are_no_damage(grey):
    rgb = tissue()
    rgb[:, :37], rgb[-21:] = grey, grey
    assert painted_share(rgb) == 0.0
    assert painted_share(np.full_like(rgb, 238)) == 0.0


def test_a_slide_of_a_few_pixels_is_none():
    assert painted_share(np.full((5, 300, 3), 128, np.uint8)) == 0.0
