"""Slides of which a decoder painted a part grey."""

import io

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tilewise.auditing.damage import DamageFacts, damage_findings, measure_damage, painted_share


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
    (finding,) = damage_findings({"a": DamageFacts(share, 0.0), "b": DamageFacts(0.0, 0.0)})
    assert (finding.slide, finding.kind, finding.proposal) == ("a", "damaged", "drop")
    assert f"{100 * share:.1f} %" in finding.evidence


@pytest.mark.parametrize("grey", [0, 128, 200, 255])
def test_frames_and_glass_are_no_damage(grey):
    rgb = tissue()
    rgb[:, :37], rgb[-21:] = grey, grey
    assert painted_share(rgb) == 0.0
    assert painted_share(np.full_like(rgb, 238)) == 0.0


def test_a_tile_that_was_lost_is_found_and_black_at_the_border_is_not():
    rgb = tissue()
    rgb[32:96, 64:128] = 0
    assert painted_share(rgb) == pytest.approx(64 * 64 / (160 * 232), abs=1e-3)
    rgb[32:96, 128:] = 0  # up to the border, as what was not scanned
    assert painted_share(rgb) == 0.0
    rgb = tissue()
    cv2.circle(rgb, (100, 80), 40, (0, 0, 0), -1)  # a drawing
    rgb[43:90, 170:201] = 0
    assert painted_share(rgb) == 0.0


def test_a_slide_of_a_few_pixels_is_none():
    assert painted_share(np.full((5, 300, 3), 128, np.uint8)) == 0.0


def on_glass(seed, height=240, width=400):
    """A band of tissue on glass with a little noise."""
    generator = np.random.default_rng(seed)
    rgb = generator.normal(243, 1.2, (height, width, 3))
    y = np.arange(height)[:, np.newaxis]
    middle = height * 0.45 + 20 * np.sin(np.arange(width) / 60 + seed)
    band = np.abs(y - middle) < 50
    rgb[band] = tissue(height, width)[band]
    return rgb.clip(0, 255).astype(np.uint8)


def test_brightness_that_jumps_in_the_middle_of_a_row_of_blocks_is_found():
    stream = io.BytesIO()
    Image.fromarray(on_glass(1)).save(stream, "JPEG", quality=90)
    whole = stream.getvalue()
    assert measure_damage(on_glass(1)) == measure_damage(imagecodecs.jpeg8_decode(whole)) == DamageFacts(0.0, 0.0)
    jumped = imagecodecs.jpeg8_decode(whole).astype(int)
    jumped[128:144, 150:] -= 20  # as after a wrong difference between two blocks of 16 px
    jumped[144:] -= 20
    facts = measure_damage(jumped.clip(0, 255).astype(np.uint8))
    assert facts == DamageFacts(0.0, pytest.approx(20, abs=1))
    (finding,) = damage_findings({"a": facts})
    assert (finding.proposal, finding.confidence) == ("drop", 0.8)
    assert "off by 20 levels" in finding.evidence


@pytest.mark.parametrize("seed", range(4))
def test_edges_frames_and_tilted_borders_are_no_jumps(seed):
    rgb = on_glass(seed)
    rgb[-40:] = 30
    rgb[:, :100] = (rgb[:, :100] * 0.8).astype(np.uint8)
    assert measure_damage(rgb).jump == 0.0
    turn = cv2.getRotationMatrix2D((200, 120), 1.0 + seed, 1.0)
    assert measure_damage(cv2.warpAffine(rgb, turn, (400, 240), borderValue=(120, 120, 120))).jump == 0.0
    half = on_glass(seed)
    half[112:] = (half[112:] * 0.85).astype(np.uint8)  # a straight edge on the grid, as of two strips of a scan
    assert measure_damage(half).jump == 0.0
