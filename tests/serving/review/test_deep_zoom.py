"""Tiles of slides: whichever way they are read, they show the slide and nothing else."""

import cv2
import numpy as np
import pytest
import tifffile

from tilewise.serving.review.deep_zoom import DeepZoom
from tilewise.serving.review.tile_pack import TILE_PX, TilePack, level_sizes, pack_path
from tilewise.units import Size


def smooth_picture(width, height):
    y, x = np.mgrid[:height, :width]
    return np.stack([200 - 100 * x / width, 80 + 100 * y / height, 150 + 0 * x], axis=2).astype(np.uint8)


def decoded(data):
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def assembled(slide, level):
    """A level put together from its tiles."""
    size = level_sizes(slide.size)[level]
    rows = []
    for row in range(-(-size.height // TILE_PX)):
        tiles = [decoded(slide.tile(level, column, row)) for column in range(-(-size.width // TILE_PX))]
        rows.append(np.concatenate(tiles, axis=1))
    whole = np.concatenate(rows)
    assert whole.shape[:2] == (size.height, size.width)
    return whole


@pytest.fixture(params=["png", "pyramid"])
def slide_file(request, tmp_path):
    picture = smooth_picture(1301, 1000)
    path = tmp_path / ("slide.png" if request.param == "png" else "slide.tiff")
    if request.param == "png":
        cv2.imwrite(str(path), picture[:, :, ::-1])
    else:
        with tifffile.TiffWriter(path) as file:
            options = {"tile": (256, 256), "photometric": "rgb", "compression": "deflate"}
            file.write(picture, subifds=1, **options)
            half = cv2.resize(picture, (650, 500), interpolation=cv2.INTER_AREA)
            file.write(half, subfiletype=1, **options)
    return path, picture


def test_every_level_shows_the_slide(slide_file):
    path, picture = slide_file
    slide = DeepZoom([path], max_pixels=10_000_000).slide(0)
    assert slide.size == Size(1301, 1000)
    for level, size in enumerate(level_sizes(slide.size)):
        expected = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        assert np.abs(assembled(slide, level).astype(int) - expected).mean() < 3
    assert slide.tile(0, 1, 0) is None
    assert slide.tile(-1, 0, 0) is None
    assert slide.tile(9, 0, 0) is None


def test_the_smallest_level_is_one_tile():
    assert level_sizes(Size(300, 200)) == (Size(300, 200),)
    assert level_sizes(Size(9270, 9920))[0] == Size(290, 310)
    assert level_sizes(Size(9270, 9920))[-1] == Size(9270, 9920)


def test_a_flat_slide_is_decoded_once_and_a_damaged_cache_is_made_again(tmp_path, monkeypatch):
    path = tmp_path / "slide.png"
    cv2.imwrite(str(path), smooth_picture(600, 700)[:, :, ::-1])
    first = DeepZoom([path], max_pixels=10_000_000).slide(0).tile(1, 0, 0)
    packed = pack_path(path)
    with monkeypatch.context() as patch:
        patch.setattr("tilewise.serving.review.deep_zoom.write_pack", lambda *_: pytest.fail("decoded again"))
        assert DeepZoom([path], max_pixels=10_000_000).slide(0).tile(1, 0, 0) == first
    packed.write_bytes(packed.read_bytes()[:-3])
    assert DeepZoom([path], max_pixels=10_000_000).slide(0).tile(1, 0, 0) == first
    assert TilePack(packed).size == Size(600, 700)


def test_a_thumbnail_is_small(slide_file):
    shape = decoded(DeepZoom([slide_file[0]], max_pixels=10_000_000).thumbnail(0)).shape
    assert max(shape) == 160
