"""Real slides of several scanners and formats."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tilewise.errors import SlideTooLarge
from tilewise.slides import open_slide, pixel_digest, read_header, read_image
from tilewise.units import Box, Size

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    "pattern",
    [
        "osteosarcoma/images/img_000*.png",
        "osteosarcoma/original_1024/*.jpg",
        "breakhis/benign/*400-0[12]*.png",
        "brecahad/images/1001*.jpg",
        "colorectal/kather_2016/*/*.tif",
        "colorectal/nct_crc_he/*/*.tif",
        "stain/normalizer_reference/*.png",
        "oral/test/normal/*.jpg",
    ],
)
def test_pixels_agree_with_pillow(pattern, data_dir):
    paths = sorted(data_dir.glob(pattern))[:8]
    assert paths
    for path in paths:
        with Image.open(path) as image:
            assert not image.has_transparency_data or np.asarray(image)[..., -1].min() == 255
            np.testing.assert_array_equal(read_image(path), np.asarray(image.convert("RGB")), err_msg=str(path))


def test_ome_tiff_with_jpeg_agrees_with_its_lossless_copy(data_dir):
    crops = data_dir / "stain" / "openslide_crops"
    with open_slide(crops / "OS-1-detail.ome.tif") as reader, open_slide(crops / "OS-1-detail.png") as copy:
        assert reader.size == copy.size
        assert reader.mpp == pytest.approx(0.2271, rel=1e-3)
        box = Box(300, 400, 500, 300)
        difference = reader.read_region(box).astype(int) - copy.read_region(box)
        assert np.abs(difference).mean() < 6


@pytest.mark.parametrize("name", ["OS-2-ndpi", "OS-2-vsi"])
def test_other_scanners(name, data_dir):
    path = data_dir / "stain" / "openslide_crops" / f"{name}.ome.tif"
    with open_slide(path) as reader:
        assert max(reader.thumbnail(200).shape) == 200
        assert 0.2 < reader.mpp < 0.4


def test_an_aperio_file_by_its_tiles(data_dir):
    path = data_dir / "slide_cmu1" / "CMU-1-Small-Region.svs"
    with open_slide(path) as reader:
        assert reader.size == (2220, 2967)
        assert reader.mpp == 0.499
        assert reader.levels == ((2220, 2967),)
        half = read_image(data_dir / "slide_cmu1" / "cmu1_half.png")
        small = reader.read_region(Box(0, 0, 2220, 2966), size=Size(1110, 1483))
        assert np.abs(small.astype(int) - half).mean() < 12


def test_a_whole_section_is_known_by_its_header_and_refused_by_a_small_limit(data_dir):
    path = data_dir / "her2st_slides" / "images" / "C3.jpg"
    assert read_header(path).size == (9270, 9936)
    with pytest.raises(SlideTooLarge, match=r"C3\.jpg"):
        open_slide(path, max_pixels=50_000_000)


def test_a_slide_has_one_digest_in_any_file(data_dir, tmp_path):
    path = data_dir / "osteosarcoma" / "images" / "img_0004.png"
    with Image.open(path) as image:
        image.save(tmp_path / "copy.tif", compression="tiff_lzw")
        image.save(tmp_path / "copy.bmp", dpi=(300, 300))
    digests = {pixel_digest(item) for item in (path, tmp_path / "copy.tif", tmp_path / "copy.bmp")}
    assert len(digests) == 1
    assert pixel_digest(path.with_name("img_0005.png")) not in digests
