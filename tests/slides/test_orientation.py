from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from tilewise.slides import open_slide, read_header, read_image
from tilewise.slides.orientation import orientation_of
from tilewise.units import Box


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_all_eight_orientations_agree_with_pillow(orientation, suffix, rgb, write):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"tiffinfo": {274: orientation}} if suffix == ".tif" else {"exif": exif}
    path = write(f"a{suffix}", rgb, **options)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(read_image(path), expected)
    header = read_header(path)
    assert header.size == (expected.shape[1], expected.shape[0])
    assert header.stored_size == (97, 61)
    with open_slide(path) as reader:
        assert reader.size == header.size
        np.testing.assert_array_equal(reader.read_region(Box(3, 5, 40, 30)), expected[5:35, 3:43])
        assert any("EXIF orientation" in note for note in reader.notes) == (orientation != 1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(order):
    exif = Image.Exif()
    exif.endian = order
    exif[0x0112] = 6
    assert orientation_of(exif.tobytes().removeprefix(b"Exif\0\0")) == 6


@pytest.mark.parametrize(
    "exif", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"rubbish that is no TIFF", b"MM\0*\0\0\0\x08\xff\xff"]
)
def test_damaged_metadata_means_no_rotation(exif):
    assert orientation_of(exif) == 1


@pytest.mark.parametrize("value", [0, 9, 65_535])
def test_values_out_of_range_mean_no_rotation(value, rgb, write):
    exif = Image.Exif()
    exif[0x0112] = value
    path = write("a.png", rgb, exif=exif)
    np.testing.assert_array_equal(read_image(path), rgb)
