"""TIFF files that ask for far more than their pictures need: refused before memory or minutes are spent on them."""

from __future__ import annotations

import io
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.slides.conftest import scene
from tilewise.errors import SlideError
from tilewise.slides import open_slide, tiff_segments

SCENE = scene(96, 64)


def patched(path, tile=None, **tags):
    """Write values over tags of the first page; `tile` becomes the bytes of its only tile."""
    if tile is not None:
        data = path.read_bytes()
        path.write_bytes(data + tile)
        tags |= {"TileOffsets": len(data), "TileByteCounts": len(tile)}
    with tifffile.TiffFile(path, mode="r+") as file:
        for name, value in tags.items():
            file.pages.first.tags[name].overwrite(value)
    return path


def read(path):
    with open_slide(path, max_pixels=1_000_000) as reader:
        return reader.read_whole()


@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
@pytest.mark.parametrize("compression", [None, "zlib", "jpeg", "jpeg2000"])
def test_tiles_far_larger_than_the_picture(compression, photometric, tmp_path):
    path = tmp_path / "img_0042.tif"
    pixels = SCENE if photometric == "rgb" else SCENE[:, :, 0]
    tifffile.imwrite(path, pixels, photometric=photometric, tile=(64, 96), compression=compression)
    patched(path, TileWidth=65_520, TileLength=65_520)
    with pytest.raises(SlideError, match=r"img_0042\.tif.*tiles are 65520 x 65520 pixels, the picture 96 x 64"):
        read(path)


@pytest.mark.parametrize("layout", [{"tile": (16, 16)}, {"rowsperstrip": 1}])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_picture_of_absurd_size(compression, layout, tmp_path):
    path = tmp_path / "img_0042.tif"
    tifffile.imwrite(path, SCENE, photometric="rgb", compression=compression, **layout)
    patched(path, ImageWidth=2**31 - 1, ImageLength=2**31 - 1)
    with pytest.raises(SlideError, match=r"img_0042\.tif.*(megapixels|tiles are 2147483647 x 1 pixels|damaged)"):
        read(path)


def test_an_absurd_number_of_tiles(tmp_path):
    path = tmp_path / "img_0042.tif"
    tifffile.imwrite(path, SCENE, photometric="rgb", tile=(16, 16), compression="zlib")
    with tifffile.TiffFile(path) as file:
        places = [file.pages.first.tags[name].offset for name in ("TileOffsets", "TileByteCounts")]
    data = bytearray(path.read_bytes())
    for place in places:
        struct.pack_into("<I", data, place + 4, 2**31)
    path.write_bytes(data)
    with pytest.raises(SlideError, match=r"img_0042\.tif.*tags \[324, 325\] cannot be read"):
        read(path)


def jpeg(width, height):
    stream = io.BytesIO()
    Image.new("RGB", (width, height)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
@pytest.mark.parametrize(
    ("compression", "tile"),
    [
        ("jpeg", jpeg(1000, 700)),
        ("jpeg2000", imagecodecs.jpeg2k_encode(np.zeros((700, 1000, 3), np.uint8), codecformat="j2k")),
        ("jpeg2000", imagecodecs.jpeg2k_encode(np.zeros((700, 1000, 3), np.uint8), codecformat="jp2")),
    ],
)
def test_a_tile_that_is_a_far_larger_picture_is_not_decoded(compression, tile, photometric, tmp_path, monkeypatch):
    path = tmp_path / "img_0042.tif"
    pixels = SCENE if photometric == "rgb" else SCENE[:, :, 0]
    tifffile.imwrite(path, pixels, photometric=photometric, tile=(64, 96), compression=compression)
    patched(path, tile)
    monkeypatch.setattr(tifffile.TiffPage, "decode", None)
    monkeypatch.setattr(tiff_segments, "scan_fault", lambda data, tables: "")
    with pytest.raises(SlideError, match=r"img_0042\.tif.*a picture of 1000 x 700 pixels where 96 x 64 belong"):
        read(path)
