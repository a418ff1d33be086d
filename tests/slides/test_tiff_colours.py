"""The colours of every codec of a TIFF, as compression and photometric tag have them, and as OpenSlide reads them."""

from __future__ import annotations

import io

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.slides.codestreams import subsampled
from tests.slides.conftest import scene
from tilewise.slides import open_slide, read_image
from tilewise.slides.tiff_colours import rgb_from_ycbcr

# Blurred, so that colour planes of half the size lose little.
SCENE = cv2.GaussianBlur(scene(160, 96), (0, 0), 3)
YCBCR = np.array(Image.fromarray(SCENE).convert("YCbCr"))
TILE = (96, 160)
APERIO = "Aperio Image Library v11.2.1\r\n160x96 [0,0 160x96] (160x96) J2K/YUV16 Q=70|AppMag = 40|MPP = 0.2520"
J2K = {"codecformat": "j2k", "reversible": True}


def error(path):
    return np.abs(read_image(path).astype(int) - SCENE).mean()


def require_same_as_openslide(path):
    openslide = pytest.importorskip("openslide")
    with openslide.OpenSlide(path) as slide:
        expected = np.asarray(slide.read_region((0, 0), 0, slide.dimensions))[:, :, :3]
    assert np.abs(read_image(path).astype(int) - expected).max() <= 3


@pytest.mark.parametrize("layout", [{"tile": TILE}, {"tile": (48, 80)}, {"rowsperstrip": 96}])
@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
@pytest.mark.parametrize(
    ("compression", "stored", "mct"),
    [(33_003, YCBCR, False), (33_005, SCENE, False), (33_005, SCENE, True)],
)
def test_jpeg_2000_of_aperio_goes_by_its_compression(compression, stored, mct, photometric, layout, tmp_path):
    path = tmp_path / "a.svs"
    tifffile.imwrite(
        path, stored, photometric=photometric, compression=compression, description=APERIO, metadata=None,
        compressionargs=J2K | {"mct": mct}, **layout,
    )  # fmt: skip
    assert error(path) < 1.5
    if "tile" in layout:
        require_same_as_openslide(path)


@pytest.mark.parametrize(
    ("photometric", "stored", "mct"),
    [("rgb", SCENE, True), ("rgb", SCENE, False), ("ycbcr", YCBCR, False), ("ycbcr", SCENE, True)],
)
def test_jpeg_2000_of_others_goes_by_its_photometric_tag(photometric, stored, mct, tmp_path):
    path = tmp_path / "a.tif"
    arguments = J2K | {"mct": mct}
    tifffile.imwrite(
        path, stored, photometric=photometric, compression="jpeg2000", compressionargs=arguments, tile=TILE
    )
    assert error(path) < 1.5


@pytest.mark.parametrize(("compression", "photometric"), [(33_003, "rgb"), (34_712, "ycbcr")])
def test_colour_planes_kept_apart_are_turned_once_they_are_joined(compression, photometric, tmp_path):
    path = tmp_path / "a.tif"
    planes = [imagecodecs.jpeg2k_encode(YCBCR[:, :, plane].copy(), **J2K) for plane in range(3)]
    tifffile.imwrite(
        path, iter(planes), shape=(3, *SCENE.shape[:2]), dtype="uint8", tile=TILE, planarconfig="separate",
        photometric=photometric, compression=compression, metadata=None,
    )  # fmt: skip
    assert error(path) < 1.5


@pytest.mark.parametrize(("across", "down"), [(1, 1), (2, 1), (2, 2)])
def test_colour_planes_of_another_size_are_turned_once(across, down, tmp_path):
    path = tmp_path / "a.svs"
    data = subsampled(YCBCR, across=across, down=down)
    tifffile.imwrite(
        path, iter([data]), shape=SCENE.shape, dtype="uint8", tile=TILE, photometric="rgb", compression=33_003,
        description=APERIO, metadata=None,
    )  # fmt: skip
    assert error(path) < 3
    openslide = pytest.importorskip("openslide")
    with openslide.OpenSlide(path) as slide:
        expected = np.asarray(slide.read_region((0, 0), 0, slide.dimensions))[:, :, :3]
    assert np.abs(read_image(path).astype(int) - expected).mean() < 1.5  # they interpolate in ways of their own


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits", "zstd"])
def test_lossless_codecs(compression, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, SCENE, photometric="rgb", compression=compression, tile=(48, 32))
    np.testing.assert_array_equal(read_image(path), SCENE)
    if compression:  # of the uncompressed, OpenSlide minds the bytes that tifffile pads the last tile with
        require_same_as_openslide(path)


def jpeg(planes, *, mode, marker):
    """A JPEG file of three planes: as RGB or YCbCr, with or without the markers that say so."""
    stream = io.BytesIO()
    Image.fromarray(planes, mode="YCbCr" if mode == "ycbcr" else "RGB").save(
        stream, "JPEG", quality=95, subsampling=0, keep_rgb=mode == "rgb"
    )
    data = stream.getvalue()
    if marker:
        return data
    start = data.index(b"\xff\xe0" if mode == "ycbcr" else b"\xff\xee")
    return data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4], "big") :]


RGB_TAG, YCBCR_TAG = 2, 6


@pytest.mark.parametrize(
    ("mode", "marker", "tag", "agree"),
    [
        ("rgb", True, RGB_TAG, True),
        ("rgb", False, RGB_TAG, True),
        ("ycbcr", True, YCBCR_TAG, True),
        ("ycbcr", False, YCBCR_TAG, True),
        # Where the stream itself names its colours the tag cannot make them others; OpenSlide goes by the tag alone.
        ("rgb", True, YCBCR_TAG, False),
        ("ycbcr", True, RGB_TAG, False),
    ],
)
def test_jpeg_by_its_markers_and_else_by_its_tag(mode, marker, tag, agree, tmp_path):
    path = tmp_path / "a.tif"
    data = jpeg(YCBCR if mode == "ycbcr" else SCENE, mode=mode, marker=marker)
    tifffile.imwrite(
        path, iter([data]), shape=SCENE.shape, dtype="uint8", tile=TILE, photometric="ycbcr", compression="jpeg",
        subsampling=(1, 1), metadata=None,
    )  # fmt: skip
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags["PhotometricInterpretation"].overwrite(tag)
    assert error(path) < 2
    if agree:
        require_same_as_openslide(path)
    with open_slide(path) as reader:
        assert reader.levels


def test_ycbcr_of_the_whole_cube():
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 15, dtype=np.uint8)] * 3), axis=-1).reshape(-1, 18, 3)
    expected = np.array(Image.fromarray(cube, mode="YCbCr").convert("RGB"))
    assert np.abs(rgb_from_ycbcr(cube).astype(int) - expected).max() <= 1
