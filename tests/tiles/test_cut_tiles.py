from dataclasses import replace

import cv2
import numpy as np
import pytest

from tilewise.slides import FlatReader
from tilewise.stain import STANDARD, Normaliser, TileNormaliser
from tilewise.tiles.config import TileConfig
from tilewise.tiles.cut_tiles import cut_mask_tiles, cut_tiles, glass_color
from tilewise.tiles.fields import middle_of, with_fields
from tilewise.tiles.rows import TileRows


@pytest.fixture
def pixels():
    """A slide of 60 x 100 whose every pixel tells where it is: red is x, green is y."""
    slide = np.full((60, 100, 3), 7, np.uint8)
    slide[:, :, 0] = np.arange(100)[None]
    slide[:, :, 1] = np.arange(60)[:, None]
    return slide


def test_the_middle_of_tiles_is_that_of_their_fields_inside_the_slide():
    boxes = np.array([[10, 20, 40, 40], [0, 0, 30, 40]])
    fields = np.array([[10, 20, 40, 40], [-10, 0, 40, 40]])
    inside, middle = middle_of(boxes, fields, 0.5)
    assert middle.tolist() == [[20, 30, 20, 20], [0, 10, 20, 20]]
    assert inside.tolist() == [[20, 30, 20, 20], [0, 10, 20, 20]]
    assert middle_of(boxes, fields - [[5, 0, 0, 0], [20, 0, 0, 0]], 0.5)[0].tolist() == [
        [15, 30, 20, 20],
        [0, 10, 1, 20],
    ]


def rows_of(boxes, config, *, size_l0=None, mask=None, strategy="window"):
    boxes = np.array(boxes, np.int64).reshape(-1, 4)
    region = np.ones((60, 100), bool) if mask is None else mask
    rows = TileRows.of_boxes(boxes, np.ones(len(boxes)), strategy=strategy, region="mask")
    return with_fields(rows, region, config, size_l0=size_l0 or config.size_px)


def read(pixels, rows, config, masks=None):
    return cut_tiles(FlatReader("slide.png", pixels), rows, config, masks)


def test_tiles_of_the_slides_own_size_are_its_pixels(pixels):
    config = TileConfig(size_px=16)
    tiles = read(pixels, rows_of([[80, 40, 16, 16], [0, 1, 16, 16]], config), config)
    assert np.array_equal(tiles, np.stack([pixels[40:56, 80:96], pixels[1:17, :16]]))


def test_a_box_that_is_smaller_than_the_tile_is_padded_in_the_middle_and_keeps_its_scale(pixels):
    config = TileConfig(size_px=32, strategy="component_box", pad_color="black")
    (tile,) = read(pixels, rows_of([[10, 20, 20, 8]], config), config)
    assert np.array_equal(tile[12:20, 6:26], pixels[20:28, 10:30])
    tile[12:20, 6:26] = 0
    assert not tile.any()


def test_a_box_that_is_larger_is_scaled_down_with_its_aspect(pixels):
    config = TileConfig(size_px=20, strategy="whole")
    (tile,) = read(pixels, rows_of([[0, 0, 100, 60]], config), config)
    reduced = cv2.resize(pixels, (20, 12), interpolation=cv2.INTER_AREA)
    assert np.array_equal(tile[4:16], reduced)
    assert (tile[:4] == 255).all()
    assert (tile[16:] == 255).all()


def test_reflected_tiles_go_on_as_in_a_mirror(pixels):
    config = TileConfig(size_px=32, strategy="component_box", fit="reflect")
    (tile,) = read(pixels, rows_of([[10, 20, 32, 8]], config), config)
    assert tile[12:20, 0, 1].tolist() == list(range(20, 28))
    assert tile[:12, 5, 1].tolist() == [*range(24, 28), *range(27, 19, -1)]
    (sliver,) = read(pixels, rows_of([[10, 20, 1, 1]], config), config)
    assert (sliver == pixels[20, 10]).all()


def test_stretched_tiles_show_the_whole_box_and_nothing_else(pixels):
    config = TileConfig(size_px=20, strategy="whole", fit="stretch")
    rows = rows_of([[0, 0, 100, 60]], config)
    assert rows.fields.tolist() == rows.boxes.tolist()
    (tile,) = read(pixels, rows, config)
    assert np.array_equal(tile, cv2.resize(pixels, (20, 20), interpolation=cv2.INTER_AREA))


def test_cropped_tiles_are_the_square_in_the_middle(pixels):
    config = TileConfig(size_px=20, strategy="whole", fit="crop")
    rows = rows_of([[0, 0, 100, 60]], config)
    assert rows.boxes.tolist() == [[20, 0, 60, 60]]
    (tile,) = read(pixels, rows, config)
    assert np.array_equal(tile, cv2.resize(pixels[:, 20:80], (20, 20), interpolation=cv2.INTER_AREA))


def test_fields_of_all_scales_lie_around_one_centre_even_at_the_edge(pixels):
    config = TileConfig(size_px=16, field_scales=(1.0, 2.0, 4.0), pad_color="black")
    rows = rows_of([[0, 0, 16, 16], [84, 44, 16, 16]], config)
    assert rows.scale.tolist() == [0, 1, 2, 0, 1, 2]
    assert rows.place.tolist() == [0, 0, 0, 1, 1, 1]
    assert rows.fields.tolist() == [
        [0, 0, 16, 16], [-8, -8, 32, 32], [-24, -24, 64, 64],
        [84, 44, 16, 16], [76, 36, 32, 32], [60, 20, 64, 64],
    ]  # fmt: skip
    assert rows.boxes[4].tolist() == [76, 36, 24, 24]
    tiles = read(pixels, rows, config)
    for tile, scale in zip(tiles[3:], (1, 2, 4), strict=True):
        # Pixels right and below the centre show 92 and 52, averaged over as many as one covers.
        assert tile[8, 8, :2].tolist() == pytest.approx([92 + (scale - 1) / 2, 52 + (scale - 1) / 2], abs=0.6)
    assert (tiles[1][:4] == 0).all()
    assert (tiles[4][12:] == 0).all()
    assert (tiles[4][:12, :12] > 0).any(axis=2).all()


@pytest.mark.parametrize(("name", "colour"), [("black", 0), ("white", 255)])
def test_outside_the_mask_is_one_colour_and_inside_the_slide(pixels, name, colour):
    mask = np.zeros((60, 100), bool)
    mask[10:20, 5:30] = True
    config = TileConfig(size_px=32, mask_filter=name)
    rows = rows_of([[0, 0, 32, 32]], config, mask=mask)
    (tile,) = read(pixels, rows, config, {"mask": mask})
    expected = np.where(mask[:32, :32, None], pixels[:32, :32], colour)
    assert np.array_equal(tile, expected)
    whole = TileRows.of_boxes(rows.boxes, rows.ratios, strategy="window", region="slide")
    assert np.array_equal(read(pixels, whole, config, {"mask": mask})[0], pixels[:32, :32])


def test_the_background_is_the_slides_own_glass():
    pixels = np.full((80, 120, 3), (231, 226, 235), np.uint8)
    pixels[20:60, 30:80] = (150, 70, 140)
    assert glass_color(FlatReader("slide.png", pixels)) == (231, 226, 235)
    mask = np.zeros((80, 120), bool)
    mask[20:40, 30:80] = True
    config = TileConfig(size_px=80, mask_filter="background", pad_color="background")
    rows = TileRows.of_boxes(np.array([[30, 20, 50, 40]]), np.ones(1), strategy="component_box", region="mask")
    (tile,) = read(pixels, with_fields(rows, mask, config, size_l0=80), config, {"mask": mask})
    assert (tile[20:40, 15:65] == (150, 70, 140)).all()
    tile[20:40, 15:65] = (231, 226, 235)
    assert (tile == (231, 226, 235)).all()


def test_the_mask_comes_in_the_frame_of_the_tile(pixels):
    mask = np.zeros((60, 100), bool)
    mask[20:28, 10:20] = True
    config = TileConfig(size_px=32, strategy="component_box")
    rows = rows_of([[10, 20, 20, 8]], config, mask=mask)
    (plane,) = cut_mask_tiles(rows, config, {"mask": mask})
    expected = np.zeros((32, 32), np.uint8)
    expected[12:20, 6:16] = 255
    assert np.array_equal(plane, expected)
    (without,) = cut_mask_tiles(rows, config, {})
    assert without[12:20, 6:26].all()


def to_standard():
    """What brings a slide with green glass to the standard target."""
    profile = replace(STANDARD, glass=(200.0, 240.0, 200.0), concentrations=(1.0, 1.5))
    return Normaliser(profile, STANDARD, "macenko")


@pytest.fixture
def section():
    """A slide of 60 x 100: green glass, and a square of dye in it."""
    slide = np.full((60, 100, 3), (200, 240, 200), np.uint8)
    slide[20:40, 30:60] = (120, 90, 130)
    return slide


def test_pixels_are_normalised_before_anything_is_laid_around_them(section):
    config = TileConfig(size_px=32, mask_filter="black", pad_color="black")
    mask = np.zeros((60, 100), bool)
    mask[:, :50] = True
    rows = rows_of([[30, 10, 32, 32]], config, mask=mask)
    stain = to_standard()
    (tile,) = cut_tiles(FlatReader("slide.png", section), rows, config, {"mask": mask}, stain=stain)
    expected = stain.apply(section)[10:42, 30:62]
    assert np.abs(expected.astype(int) - section[10:42, 30:62]).max() > 10
    assert np.array_equal(tile[:, :20], expected[:, :20])
    assert not tile[:, 20:].any()


def test_glass_that_fills_a_tile_is_normalised_too(section):
    config = TileConfig(size_px=40, strategy="component_box", pad_color="background")
    rows = rows_of([[30, 20, 30, 20]], config)
    (tile,) = cut_tiles(FlatReader("slide.png", section), rows, config, stain=to_standard())
    assert np.abs(tile[0, 0].astype(int) - 239).max() <= 1


def test_each_tile_can_be_normalised_by_itself(section):
    config = TileConfig(size_px=32)
    rows = rows_of([[30, 10, 32, 32], [0, 0, 32, 32]], config)
    each = TileNormaliser(STANDARD, "macenko")
    tiles = cut_tiles(FlatReader("slide.png", section), rows, config, stain=each)
    assert each.num_unnormalised == 2, "neither tile has two dyes"
    assert np.array_equal(tiles, read(section, rows, config))
