import cv2
import numpy as np
import pytest

from tilewise.tissue import tissue_mask
from tilewise.valid import valid_field


def slide(height=180, width=240, glass=243):
    """An oval of stained tissue on glass that a camera has seen."""
    noise = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    oval = ((y - 0.5 * height) / (0.33 * height)) ** 2 + ((x - 0.5 * width) / (0.4 * width)) ** 2 < 1
    grain = cv2.GaussianBlur(noise.random((height, width)).astype(np.float32), (0, 0), 1.2) - 0.5
    density = np.where(oval, 0.5 + 3 * grain, 0.0)[:, :, None] * np.array([0.4, 1.0, 0.5])
    rgb = glass * 10**-density + noise.normal(0, 1.2, (height, width, 1))
    return np.clip(rgb, 0, 255).astype(np.uint8)


def framed(rgb, px=40, level=0):
    return cv2.copyMakeBorder(rgb, px, px, px, px, cv2.BORDER_CONSTANT, value=(level,) * 3)


def jpeg(rgb):
    return cv2.imdecode(cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, 85])[1], cv2.IMREAD_COLOR)


def noisy(rgb):
    return np.clip(rgb + np.random.default_rng(1).normal(6, 3, rgb.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("level", [0, 128, 200, 255])
@pytest.mark.parametrize("px", [12, 40, 150])
def test_a_frame_of_one_colour_is_cut_off_to_a_pixel_or_two(level, px):
    box = valid_field(framed(slide(), px, level)).box
    assert abs(np.array([box.x, box.y, 240 - box.width, 180 - box.height]) - [px, px, 0, 0]).max() <= 4


@pytest.mark.parametrize(
    "changed",
    [lambda rgb: jpeg(framed(rgb)), lambda rgb: jpeg(framed(rgb, level=255)), lambda rgb: noisy(framed(rgb)),
     lambda rgb: cv2.resize(framed(rgb), None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA),
     lambda rgb: cv2.resize(framed(rgb), None, fx=6, fy=6, interpolation=cv2.INTER_LINEAR)],
    ids=["jpeg", "white jpeg", "noise", "smaller", "larger than the working size"],
)  # fmt: skip
def test_a_frame_is_found_whatever_was_done_to_the_file(changed):
    rgb = changed(slide())
    field = valid_field(rgb)
    stretch = rgb.shape[1] / 320
    expected = np.array([40, 40, 240, 180]) * stretch
    box = np.array([field.box.x, field.box.y, field.box.width, field.box.height])
    assert np.abs(box - expected).max() <= 6 * max(stretch, 1)


@pytest.mark.parametrize("level", [0, 255])
def test_the_corners_of_a_turned_slide_are_not_valid_and_show_glass(level):
    turn = cv2.getRotationMatrix2D((120, 90), 20, 0.8)
    rgb = cv2.warpAffine(slide(), turn, (240, 180), borderValue=(level,) * 3)
    truth = cv2.warpAffine(np.ones((180, 240), np.uint8), turn, (240, 180)) > 0
    field = valid_field(rgb)
    assert field.mask is not None
    valid = field.paste(np.ones((field.box.height, field.box.width), bool), rgb.shape[:2])
    assert (valid != truth).mean() < 0.03
    picture = field.picture(rgb)
    assert picture[~field.mask].min() > 225
    np.testing.assert_array_equal(picture[field.mask], field.crop(rgb)[field.mask])


def test_the_dark_around_a_round_field_of_view_is_not_valid():
    rgb = slide()
    y, x = np.mgrid[:180, :240]
    rgb[(y - 90) ** 2 + (x - 120) ** 2 > 100**2] = 2
    assert valid_field(rgb).mask.mean() == pytest.approx(np.pi / 4, abs=0.1)


@pytest.mark.parametrize("rgb", [
    slide(), slide(glass=255), np.full((60, 80, 3), 255, np.uint8), np.zeros((60, 80, 3), np.uint8),
    (slide() * 0.12).astype(np.uint8), cv2.convertScaleAbs(slide(), alpha=1.5), np.zeros((1, 1, 3), np.uint8),
    cv2.GaussianBlur(slide(), (0, 0), 6), slide()[50:130, 60:180],
], ids=["plain", "white glass", "blank", "black", "dark", "clipped", "one pixel", "blurred", "no glass"])  # fmt: skip
def test_a_slide_without_padding_is_whole_and_not_copied(rgb):
    field = valid_field(rgb)
    assert (field.is_whole, field.mask) == (True, None)
    assert field.picture(rgb) is rgb


@pytest.mark.parametrize("level", [0, 128, 255])
def test_tissue_is_the_same_with_a_frame_and_without(level):
    for rgb in (slide(), slide()[50:130, 60:180]):  # the second has tissue from edge to edge
        alone, with_frame = tissue_mask(rgb), tissue_mask(framed(rgb, 40, level))
        inner = with_frame[40:-40, 40:-40]
        assert inner.sum() == with_frame.sum()
        assert (inner != alone).mean() < 0.06


@pytest.mark.real
@pytest.mark.parametrize("pattern", ["osteosarcoma/images/*", "breakhis/*/*.png", "camelyon_tiles/images/*"])
def test_real_fields_are_whole(data_dir, pattern):
    for path in sorted(data_dir.glob(pattern))[:12]:
        assert valid_field(cv2.imread(str(path))).is_whole, path
