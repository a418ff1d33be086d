"""A cohort whose region looks unlike the tissue around it, and options that learn it in a second."""

from importlib.util import find_spec

import cv2
import numpy as np
import pytest

from tilewise.auditing.cohort import AuditedCohort, AuditedSlide
from tilewise.cohort import Slide
from tilewise.units import Size

needs_unet = pytest.mark.skipif(
    find_spec("segmentation_models_pytorch") is None, reason="segmentation-models-pytorch ([segment]) is not installed"
)
needs_sam = pytest.mark.skipif(find_spec("transformers") is None, reason="transformers ([hub]) is not installed")

FAST = {"encoder": "mobilenet_v3_small", "depth": 3, "width": 4, "input_px": 64, "num_folds": 2, "epochs": 2}


def region_of(number, *, height=96, width=128):
    """A disc on the left or the right half."""
    region = np.zeros((height, width), np.uint8)
    centre = (40 + 48 * (number % 2), 40 + 3 * (number % 5))
    cv2.circle(region, centre, 24, 1, -1)
    return region.astype(bool)


def picture_of(number, *, blank=False):
    generator = np.random.default_rng(number)
    rgb = np.full((96, 128, 3), 240, np.uint8)
    if not blank:
        rgb[8:88, 8:120] = (200, 130, 190)
        rgb[region_of(number)] = (110, 60, 150)
        rgb = (rgb + generator.normal(0, 6, rgb.shape)).clip(0, 255).astype(np.uint8)
    return rgb


def draw(folder, number, *, masked=True, group=None, blank=False):
    """One audited slide; its content and pixel digests are its number's."""
    path, mask = folder / f"img_{number:04d}.png", folder / f"mask_{number:04d}.png"
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture_of(number, blank=blank)[:, :, ::-1])
    cv2.imwrite(str(mask), region_of(number).astype(np.uint8) * 255)
    slide = Slide(path.name, path, mask if masked else None, "AB"[number % 2], group)
    digest = f"{number:040d}"
    return AuditedSlide(slide, Size(128, 96), None, group or path.name, masked, f"c{digest}", digest, ())


def to_cohort(slides):
    return AuditedCohort(tuple(slides), ("A", "B"), (), (), (), (), {item.slide_id: item.group for item in slides})


@pytest.fixture
def audited(tmp_path):
    """Eight slides: three in one group, the last without a mask, the one before it in a group with the first."""
    groups = {0: "p", 1: "p", 2: "p"}
    return to_cohort([draw(tmp_path / "slides", n, masked=n != 7, group=groups.get(n)) for n in range(8)])
