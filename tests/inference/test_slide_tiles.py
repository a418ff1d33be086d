"""What a network is shown of a slide: its pixels, the mask in the same frame, and a key of all they follow from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.drawn import draw_cohort, draw_slide
from tests.inference.cut import FoldInputs, cut, drawn, pixels_of
from tilewise.encoders import EncoderConfig
from tilewise.errors import RecipeError, SlideError
from tilewise.inference.slide_tiles import InputSpec
from tilewise.models.networks import NetworkConfig
from tilewise.stain import STANDARD, Normaliser, TileNormaliser
from tilewise.tiles.config import TileConfig

BESIDE = InputSpec(masks=True, wide_px=40)


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> FoldInputs:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILEWISE_CACHE", str(tmp_path_factory.mktemp("cache")))
        return drawn(tmp_path_factory.mktemp("cohort"), num_slides=3)


def test_tiles_are_the_slides_pixels_and_masks_its_masks(windows: FoldInputs) -> None:
    source = windows.source(1, BESIDE)
    tiles, slide = source.decode(), source.slide.slide
    pixels, mask = pixels_of(slide.path), pixels_of(slide.mask_path)[:, :, 0]
    assert len(tiles) == len(source) == len(source.rows) > 1
    assert tiles.images_TSCHW.shape == (len(tiles), 1, 3, 32, 32)
    for image, input_spec, (x, y, w, h) in zip(tiles.images_TSCHW, tiles.masks_THW, source.rows.boxes, strict=True):
        assert np.array_equal(image[0].transpose(1, 2, 0), pixels[y : y + h, x : x + w])
        assert np.array_equal(input_spec, mask[y : y + h, x : x + w])
    assert (tiles.key, tiles.num_unnormalised) == (source.key, 0)


def test_the_slide_lies_in_the_middle_of_a_white_square(windows: FoldInputs) -> None:
    source = windows.source(0, BESIDE)
    overview = source.decode().wide_CHW
    height = 30  # 96 of 128 pixels, scaled to 40
    assert overview.shape == (3, 40, 40)
    assert (overview[:, :5] == 255).all()
    assert (overview[:, 35:] == 255).all()
    expected = cv2.resize(pixels_of(source.slide.slide.path), (40, height), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(overview[:, 5:35].transpose(1, 2, 0), expected, atol=12)
    large = windows.source(0, replace(BESIDE, wide_px=256)).decode().wide_CHW
    assert (large[:, :32] == 255).all()
    assert not (large[:, 33] == 255).all()


def test_what_is_not_asked_for_is_not_made(windows: FoldInputs) -> None:
    tiles = windows.source(0).decode()
    assert (tiles.masks_THW, tiles.wide_CHW) == (None, None)


@pytest.mark.parametrize("input_spec", [InputSpec(), BESIDE], ids=["tiles", "beside"])
def test_the_room_they_take_is_known_before(windows: FoldInputs, input_spec: InputSpec) -> None:
    source = windows.source(0, input_spec)
    tiles = source.decode()
    arrays = (tiles.images_TSCHW, tiles.masks_THW, tiles.wide_CHW)
    assert source.num_bytes == sum(array.nbytes for array in arrays if array is not None)


def redder_inside(folder: Path) -> None:
    """Let the green of a slide tell its mask: 230 outside, 100 inside."""
    for path in sorted((folder / "images").iterdir()):
        mask = cv2.imread(str(folder / "masks" / path.name.replace("img", "mask")), cv2.IMREAD_GRAYSCALE)
        pixels = np.full((*mask.shape, 3), 230, np.uint8)
        pixels[:, :, 1] = np.where(mask > 0, 100, 230)
        cv2.imwrite(str(path), pixels)


@pytest.mark.parametrize(
    "settings",
    [
        ("tiles.strategy=component_box", "tiles.component_box_min=0"),
        ("tiles.strategy=grid",),
        ("tiles.strategy=whole",),
        ("tiles.strategy=whole", "tiles.fit=stretch"),
        ("tiles.strategy=whole", "tiles.fit=crop"),
        ("tiles.strategy=random_views", "tiles.random_views_num=6"),
        ("tiles.field_scales=[1, 3]",),
        ("tiles.field_scales=[1, 3]", "tiles.fit=reflect"),
    ],
    ids=" ".join,
)
def test_the_mask_lies_in_the_frame_of_the_tile(settings: tuple[str, ...], tmp_path: Path) -> None:
    folder = draw_cohort(tmp_path / "cohort", num_slides=2)
    made = cut(folder, *settings)
    redder_inside(folder)
    tiles = made.source(1, InputSpec(masks=True)).decode()
    assert 0 < tiles.masks_THW.mean() < 255
    green = tiles.images_TSCHW[:, 0, 1].astype(float)
    # Around a slide that is filled up with white, green is 255.
    shade = ((230.0 - green) / 130.0).clip(0.0, 1.0) * 255.0
    np.testing.assert_allclose(tiles.masks_THW, shade, atol=3.0)


def test_fields_of_one_place_make_one_tile(tmp_path: Path) -> None:
    folder = draw_cohort(tmp_path / "cohort", num_slides=2)
    single, double = cut(folder), cut(folder, "tiles.field_scales=[1, 2]", "tiles.pad_color=black")
    alone, both = single.source().decode(), double.source(0, InputSpec(num_fields=2, masks=True)).decode()
    assert both.images_TSCHW.shape == (len(alone), 2, 3, 32, 32)
    assert np.array_equal(both.images_TSCHW[:, 0], alone.images_TSCHW[:, 0])
    assert both.masks_THW.shape == (len(alone), 32, 32)
    # The middle half of the wider field shows what the tile does.
    middle = both.images_TSCHW[:, 1, :, 8:24, 8:24].astype(float).mean(axis=(2, 3))
    np.testing.assert_allclose(middle, alone.images_TSCHW[:, 0].mean(axis=(2, 3)), atol=2.0)
    with pytest.raises(ValueError, match="have not 3 fields"):
        double.source(0, InputSpec(num_fields=3)).decode()


def test_pixels_tiles_and_the_whole_are_brought_to_a_stain(windows: FoldInputs) -> None:
    paler = replace(STANDARD, concentrations=tuple(0.6 * amount for amount in STANDARD.concentrations))
    stain = Normaliser(STANDARD, paler, "macenko")
    assert stain.trusted
    plain, stained = windows.source(0, BESIDE).decode(), windows.source(0, BESIDE, stain).decode()
    for before, after in zip(plain.images_TSCHW[:, 0], stained.images_TSCHW[:, 0], strict=True):
        assert np.array_equal(after.transpose(1, 2, 0), stain.apply(np.ascontiguousarray(before.transpose(1, 2, 0))))
    assert np.array_equal(plain.masks_THW, stained.masks_THW)
    assert stained.wide_CHW[:, 10:30].mean() > plain.wide_CHW[:, 10:30].mean() + 5
    assert (stained.wide_CHW[:, :5] == 255).all()
    assert stained.key != plain.key
    same = Normaliser(STANDARD, STANDARD, "macenko")
    assert windows.source(0, BESIDE, same).key == plain.key


def test_pictures_that_keep_their_colours_are_counted(windows: FoldInputs) -> None:
    # Drawn slides are of one colour, from which no two dyes can be told.
    stain = TileNormaliser(STANDARD, "macenko")
    tiles = windows.source(0, BESIDE, stain).decode()
    assert tiles.num_unnormalised == stain.num_unnormalised == len(tiles) + 1  # the whole slide is one as well
    assert windows.source(0, BESIDE, stain).decode().num_unnormalised == tiles.num_unnormalised


def test_the_key_is_of_everything_the_pixels_follow_from(tmp_path: Path) -> None:
    folder = draw_cohort(tmp_path / "cohort", num_slides=2)
    made = cut(folder)
    keys = {
        made.source(0).key,
        made.source(1).key,
        made.source(0, BESIDE).key,
        made.source(0, InputSpec(masks=True)).key,
    }
    keys |= {cut(folder, "tiles.size_px=40").source(0).key, cut(folder, "tiles.mask_filter=black").source(0).key}
    assert len(keys) == 6
    folder.rename(tmp_path / "moved")
    moved = cut(tmp_path / "moved")
    assert [moved.source(number).key for number in (0, 1)] == [made.source(number).key for number in (0, 1)]
    draw_slide(tmp_path / "moved/images/img_0000.png", 77, klass=0)
    other = cut(tmp_path / "moved")
    assert other.source(0).key not in keys
    assert other.source(1).key == made.source(1).key


def test_a_slide_that_is_gone_is_named(tmp_path: Path) -> None:
    made = drawn(tmp_path / "cohort", num_slides=2)
    (tmp_path / "cohort/images/img_0001.png").unlink()
    with pytest.raises(SlideError, match=r"img_0001\.png"):
        made.source(1).decode()


@pytest.mark.parametrize(
    ("network", "input_spec"),
    [
        ({}, InputSpec()),
        ({"input": "mask_channel"}, InputSpec(masks=True)),
        ({"input": "dual_branch"}, InputSpec(masks=True)),
        ({"input": "dual_stream"}, InputSpec(wide_px=224)),
        ({"input": "dual_stream", "input_px": 64}, InputSpec(wide_px=64)),
        ({"input": "multi_scale", "num_fields": 2}, InputSpec(num_fields=2)),
    ],
    ids=str,
)
def test_what_a_recipe_asks_for(network: dict[str, Any], input_spec: InputSpec) -> None:
    tile_config = TileConfig(field_scales=(1.0, 2.0)) if "num_fields" in network else TileConfig()
    assert (
        InputSpec.by(NetworkConfig.model_validate(network), EncoderConfig(name="resnet18"), tile_config) == input_spec
    )


def test_as_many_fields_as_tiles_are_cut_with() -> None:
    network = NetworkConfig(input="multi_scale", num_fields=3)
    with pytest.raises(RecipeError, match=r"takes 3 fields of view and tiles are cut with 2 \(tiles\.field_scales"):
        InputSpec.by(network, EncoderConfig(name="resnet18"), TileConfig(field_scales=(1.0, 2.0)))
