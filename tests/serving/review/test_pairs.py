"""The second slide of a pair is laid onto the first by the transform that the audit finds."""

import cv2
import numpy as np
import pytest

from tilewise.cohort import Slide
from tilewise.serving.review.pairs import lay_on
from tilewise.slides import overview
from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.plan import plan_cohort
from tilewise.synthetic.slide import draw_slide

CONFIG = SynthConfig(num_slides=4, min_side_px=512, seed=11)
MOST_PX = 2.0


@pytest.fixture(scope="module")
def rgb():
    return draw_slide(CONFIG, plan_cohort(CONFIG)[1]).rgb


def written(path, rgb):
    cv2.imwrite(str(path), rgb[:, :, ::-1])
    return Slide(path.name, path)


def changes(height, width):
    """Name -> how a slide was changed, and where a pixel (x, y) of the changed one was before."""
    return {
        "mirrored": (lambda rgb: rgb[:, ::-1], lambda x, y: (width - 1 - x, y)),
        "turned": (np.rot90, lambda x, y: (width - 1 - y, x)),
        "upside down": (lambda rgb: rgb[::-1], lambda x, y: (x, height - 1 - y)),
        "cropped": (lambda rgb: rgb[40:, 25:-30], lambda x, y: (x + 25, y + 40)),
        "mirrored and turned": (lambda rgb: np.rot90(rgb[:, ::-1]), lambda x, y: (y, x)),
        "scaled": (
            lambda rgb: cv2.resize(rgb, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA),
            lambda x, y: (x / 0.75, y / 0.75),
        ),
        "padded": (
            lambda rgb: np.pad(rgb, ((60, 60), (0, 0), (0, 0)), constant_values=0),
            lambda x, y: (x, y - 60),
        ),
    }


@pytest.mark.parametrize("name", list(changes(0, 0)))
def test_pixels_lie_on_what_they_were_before(rgb, tmp_path, name):
    change, before = changes(*rgb.shape[:2])[name]
    changed = np.ascontiguousarray(change(rgb))
    one, two = written(tmp_path / "one.png", rgb), written(tmp_path / "two.png", changed)
    overlay = lay_on(one, two, max_pixels=10_000_000)
    assert overlay.relation == "copy"
    matrix = np.reshape(overlay.matrix, (2, 3))
    height, width = changed.shape[:2]
    for x, y in ((width // 4, height // 4), (width // 2, height // 2), (3 * width // 4, height // 3)):
        assert np.abs(matrix @ (x, y, 1) - before(x, y)).max() < MOST_PX
    back = np.reshape(lay_on(two, one, max_pixels=10_000_000).matrix, (2, 3))
    there = matrix @ (width // 2, height // 2, 1)
    assert np.abs(back @ (*there, 1) - (width // 2, height // 2)).max() < MOST_PX


@pytest.mark.parametrize("name", ["scaled", "padded", "cropped"])
def test_slides_that_are_compared_by_their_overviews_are_laid_in_level_0(rgb, tmp_path, monkeypatch, name):
    change, before = changes(*rgb.shape[:2])[name]
    changed = np.ascontiguousarray(change(rgb))
    # Of the scaled one the overview is level 0 itself, of the other slides half as wide.
    monkeypatch.setattr(overview, "OVERVIEW_PIXELS", int(rgb.shape[0] * rgb.shape[1] * 0.6))
    one, two = written(tmp_path / "one.png", rgb), written(tmp_path / "two.png", changed)
    matrix = np.reshape(lay_on(one, two, max_pixels=10_000_000).matrix, (2, 3))
    height, width = changed.shape[:2]
    for x, y in ((width // 4, height // 4), (3 * width // 4, height // 3)):
        assert np.abs(matrix @ (x, y, 1) - before(x, y)).max() < 2 * MOST_PX


def test_different_tissue_is_not_laid_onto_each_other(rgb, tmp_path):
    other = draw_slide(CONFIG, plan_cohort(CONFIG)[2]).rgb
    overlay = lay_on(written(tmp_path / "one.png", rgb), written(tmp_path / "two.png", other), max_pixels=10_000_000)
    assert overlay.relation == "none"
    assert "different tissue" in overlay.words
