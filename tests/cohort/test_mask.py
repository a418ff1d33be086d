from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from tilewise.cohort import Slide, mask_digest, read_mask
from tilewise.errors import MaskError
from tilewise.units import Size

WIDTH, HEIGHT = 53, 37


def blobs():
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(mask, (15, 12), 8, 1, -1)
    cv2.rectangle(mask, (30, 20), (48, 33), 1, -1)
    return mask.astype(bool)


MASK = blobs()


@pytest.fixture
def slide(tmp_path):
    def make(name="mask.png"):
        return Slide("img_0007.png", tmp_path / "img_0007.png", tmp_path / name)

    return make


def read(slide, mask_size=(WIDTH, HEIGHT)):
    return read_mask(slide, Size(*mask_size))


def _palette(mask, colors):
    image = Image.fromarray(mask.astype(np.uint8))
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette(colors)
    return image


def _rgba(mask, colour, clear):
    pixels = np.zeros((*mask.shape, 4), np.uint8)
    pixels[mask] = (*colour, 255)
    pixels[~mask] = (*clear, 0)
    return Image.fromarray(pixels)


ENCODINGS = {
    "0/255": lambda mask: Image.fromarray(mask.astype(np.uint8) * 255),
    "0/1": lambda mask: Image.fromarray(mask.astype(np.uint8)),
    "0/128": lambda mask: Image.fromarray(mask.astype(np.uint8) * 128),
    "1 bit": Image.fromarray,
    "16 bits, 0/1": lambda mask: Image.fromarray(mask.astype(np.uint16)),
    "16 bits, 0/65535": lambda mask: Image.fromarray(mask.astype(np.uint16) * 65_535),
    "palette": lambda mask: _palette(mask, [0, 0, 0, 128, 0, 0]),
    "RGB white": lambda mask: Image.fromarray(mask.astype(np.uint8) * 255).convert("RGB"),
    "RGB blue": lambda mask: Image.fromarray(np.stack([mask * 0, mask * 0, mask * 90], axis=-1).astype(np.uint8)),
    "RGBA opaque": lambda mask: Image.fromarray(mask.astype(np.uint8) * 255).convert("RGBA"),
    "RGBA on nothing": lambda mask: _rgba(mask, (255, 255, 255), (0, 0, 0)),
    "RGBA on hidden white": lambda mask: _rgba(mask, (255, 0, 0), (255, 255, 255)),
    "grey and alpha": lambda mask: Image.fromarray(mask.astype(np.uint8) * 255).convert("LA"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@given(mask=hnp.arrays(bool, st.tuples(st.integers(1, 20), st.integers(1, 20))))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_encoding_comes_back(encoding, suffix, mask, slide):
    one = slide(f"mask{suffix}")
    ENCODINGS[encoding](mask).save(one.mask_path)
    mask_read, notes = read(one, mask.shape[::-1])
    assert mask_read.dtype == np.bool_
    np.testing.assert_array_equal(mask_read, mask)
    assert any("mask empty" in note for note in notes) == (not mask.any())


def test_black_paint_on_nothing_counts_by_its_alpha(slide):
    one = slide()
    _rgba(MASK, (0, 0, 0), (0, 0, 0)).save(one.mask_path)
    mask_read, notes = read(one)
    np.testing.assert_array_equal(mask_read, MASK)
    assert "taken by its alpha" in notes[0]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("num_labels", [2, 7, 60])
def test_label_and_instance_numbers_are_foreground(kind, num_labels, slide):
    labels = MASK * (1 + np.arange(WIDTH) % num_labels).astype(kind)
    one = slide()
    Image.fromarray(labels).save(one.mask_path)
    mask_read, notes = read(one)
    np.testing.assert_array_equal(mask_read, MASK)
    assert any("all but 0 taken as foreground" in note for note in notes)


def test_many_colours_are_all_foreground(slide):
    rng = np.random.default_rng(0)
    one = slide()
    Image.fromarray(MASK[:, :, None] * rng.integers(1, 255, (HEIGHT, WIDTH, 3), np.uint8)).save(one.mask_path)
    mask_read, notes = read(one)
    np.testing.assert_array_equal(mask_read, MASK)
    assert "coloured mask" in notes[0]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_smoothed_masks_are_cut_at_half(mode, slide):
    smooth = cv2.GaussianBlur(MASK.astype(np.uint8) * 255, (0, 0), 2)
    one = slide()
    Image.fromarray(smooth).convert(mode).save(one.mask_path)
    mask_read, notes = read(one)
    np.testing.assert_array_equal(mask_read, smooth >= (int(smooth.max()) + 1) // 2)
    assert (mask_read != MASK).mean() < 0.02
    assert any("cut at half of its highest value" in note for note in notes)


@pytest.mark.parametrize("value", [255, 120])
def test_jpeg_masks_are_cut_at_half(value, slide):
    large = np.kron(MASK, np.ones((8, 8), bool))
    one = slide("mask.jpg")
    Image.fromarray(large.astype(np.uint8) * value).save(one.mask_path, quality=80)
    mask_read, notes = read(one, (WIDTH * 8, HEIGHT * 8))
    np.testing.assert_array_equal(mask_read, large)
    assert any("JPEG-compressed" in note for note in notes)


def test_numbers_in_a_jpeg_are_refused(slide):
    one = slide("mask.jpg")
    Image.fromarray(MASK.astype(np.uint8)).save(one.mask_path, quality=100)
    with pytest.raises(MaskError, match=r"img_0007.png.*reaches only .* of 255.*save it as PNG"):
        read(one)


def test_empty_and_full_masks_are_read_as_they_are(slide):
    one = slide()
    for value, share in ((0, 0.0), (255, 1.0), (1, 1.0)):
        Image.fromarray(np.full((HEIGHT, WIDTH), value, np.uint8)).save(one.mask_path)
        mask_read, notes = read(one)
        assert mask_read.mean() == share
        assert ("mask empty: it marks no pixel" in notes) == (value == 0)


@pytest.mark.parametrize(
    ("size", "message"),
    [((WIDTH + 1, HEIGHT), "pair the slide with its own mask"), ((WIDTH * 8, HEIGHT * 8), "scale it by 8 without")],
)
def test_another_size_is_named_with_both_sizes(size, message, slide):
    one = slide()
    Image.fromarray(MASK).save(one.mask_path)
    with pytest.raises(MaskError, match=message) as caught:
        read(one, size)
    message = str(caught.value)
    assert "img_0007.png" in message
    assert "53 x 37" in message
    assert f"{size[0]} x {size[1]}" in message


def test_a_huge_mask_is_refused_by_its_header(slide, monkeypatch):
    one = slide("mask.tif")
    tifffile.imwrite(one.mask_path, MASK)
    monkeypatch.setattr("tilewise.cohort.mask.read_samples", None)  # would raise if pixels were touched
    with pytest.raises(MaskError, match="53 x 37"):
        read(one, (10, 10))


def test_masks_that_cannot_be_read(slide):
    with pytest.raises(MaskError, match=r"img_0007.png: its mask cannot be used: .*gone.png: no such file"):
        read(slide("gone.png"))
    broken = slide("broken.png")
    broken.mask_path.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(MaskError, match=r"img_0007.png: .*broken.png"):
        read(broken)
    with pytest.raises(MaskError, match=r"img_0007.png: it has no mask"):
        read(dataclasses.replace(broken, mask_path=None))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("drawn_on", ["stored", "seen"])
def test_masks_of_slides_that_are_turned(orientation, drawn_on, slide):
    one = slide()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(one.path, exif=exif)
    size = (HEIGHT, WIDTH) if orientation >= 5 else (WIDTH, HEIGHT)
    stored = MASK if drawn_on == "stored" else np.ascontiguousarray(MASK[: size[1]] if orientation < 5 else MASK.T)
    Image.fromarray(stored).save(one.mask_path)
    mask_read, notes = read(one, size)
    assert mask_read.shape == size[::-1]
    if drawn_on == "stored" and orientation >= 5:
        quarter = {5: MASK.T, 6: np.rot90(MASK, -1), 7: np.rot90(MASK.T, 2), 8: np.rot90(MASK)}
        np.testing.assert_array_equal(mask_read, quarter[orientation])
        assert "turned with it" in notes[0]
    else:
        np.testing.assert_array_equal(mask_read, stored)
        assert any("taken as drawn on the turned slide" in note for note in notes) == (orientation != 1)


def test_a_mask_that_is_turned_like_its_slide(slide):
    one = slide()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(one.path, exif=exif)
    Image.fromarray(MASK).save(one.mask_path, exif=exif)
    mask_read, _ = read(one, (HEIGHT, WIDTH))
    np.testing.assert_array_equal(mask_read, np.rot90(MASK, -1))


def test_digests_are_those_of_pixels_and_shape():
    assert mask_digest(MASK) == mask_digest(MASK.copy())
    assert mask_digest(MASK) != mask_digest(~MASK)
    assert mask_digest(np.zeros((4, 6), bool)) != mask_digest(np.zeros((6, 4), bool))
    assert mask_digest(np.zeros((1, 9), bool)) != mask_digest(np.zeros((1, 10), bool))


def _bmp_palette(mask, colors):
    return _palette(mask, [*colors, *[0] * (768 - len(colors))])


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
@pytest.mark.parametrize(
    ("colors", "message"),
    [
        pytest.param([255, 255, 255, 200, 0, 0], "all but white", id="QuPath, white background"),
        pytest.param([0, 0, 0, 200, 0, 0], "all but black", id="black background"),
        pytest.param([0, 0, 0, 0, 0, 0], "taken by their numbers", id="all black"),
        pytest.param([90, 140, 90, 90, 140, 90], "taken by their numbers", id="all one green"),
        pytest.param([40, 60, 200, 200, 60, 40], "along its edge", id="red on blue"),
    ],
)
def test_palettes_are_read_by_their_colours_and_background(colors, message, suffix, slide):
    one = slide(f"mask{suffix}")
    image = _palette(MASK, colors) if suffix != ".bmp" else _bmp_palette(MASK, colors)
    image.save(one.mask_path)
    mask_read, notes = read(one)
    np.testing.assert_array_equal(mask_read, MASK)
    assert message in " ".join(notes)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_numbers_of_a_png_of_any_depth(bits, slide):
    one = slide()
    numbers = MASK * (2**bits - 1)
    image = _palette(numbers, [7, 7, 7] * 2**bits)
    image.save(one.mask_path, bits=bits)
    mask_read, notes = read(one)
    np.testing.assert_array_equal(mask_read, MASK)
    assert f"values 0, {2**bits - 1} in one colour" in notes[0]


def test_a_palette_without_entries_for_all_numbers(slide):
    one = slide()
    image = Image.new("P", MASK.shape[::-1])
    image.frombytes(MASK.astype(np.uint8).tobytes())
    image.putpalette([0, 0, 0])
    image.save(one.mask_path)
    np.testing.assert_array_equal(read(one)[0], MASK)


WHITE_RED_BLACK = [(255, 255, 255), (200, 0, 0), (0, 0, 0)]
THIRDS = MASK * (1 + np.arange(WIDTH) % 2)


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("mask.png", MASK * np.uint8(255) ^ np.uint8(255)),
        ("mask.png", (MASK ^ True).astype(np.uint8)),
        ("mask.png", np.where(MASK, 1, 2).astype(np.uint8)),
        ("mask.png", np.where(MASK, THIRDS * 60, 255).astype(np.uint8)),
        ("mask.png", np.array(WHITE_RED_BLACK, np.uint8)[THIRDS]),
        ("mask.png", np.array([(0, 255, 0), (0, 0, 0)], np.uint8)[MASK.astype(int)]),
    ],
    ids=["0/255", "0/1", "1/2", "labels on white", "colours on white", "black on green"],
)
def test_masks_that_are_the_wrong_way_round(name, picture, slide):
    one = slide(name)
    Image.fromarray(picture).save(one.mask_path)
    mask_read, _ = read_mask(one, Size(WIDTH, HEIGHT), inverted=True)
    np.testing.assert_array_equal(mask_read, MASK)
    assert (read(one)[0] & ~MASK).any()


def test_a_lossy_mask_the_wrong_way_round_is_the_rest_of_it(slide):
    large = np.kron(MASK, np.ones((8, 8), bool))
    one = slide("mask.jpg")
    Image.fromarray((~large).astype(np.uint8) * 255).save(one.mask_path, quality=80)
    mask_read, _ = read_mask(one, Size(*large.shape[::-1]), inverted=True)
    np.testing.assert_array_equal(mask_read, large)
    np.testing.assert_array_equal(read(one, large.shape[::-1])[0], ~large)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_colours_on_white_are_foreground(kind, slide):
    large = np.kron(MASK, np.ones((8, 8), bool))
    one = slide(f"mask.{kind.lower()}")
    Image.fromarray(np.where(large[:, :, None], (200, 30, 30), 255).astype(np.uint8)).save(
        one.mask_path, kind, quality=90, subsampling=0
    )
    mask_read, notes = read(one, large.shape[::-1])
    assert (mask_read != large).mean() < 0.01
    assert "all but white" in notes[0]


def test_values_without_any_0_have_the_lowest_for_background(slide):
    one = slide()
    Image.fromarray(np.where(MASK, 2, 1).astype(np.uint8)).save(one.mask_path)
    mask_read, notes = read(one)
    np.testing.assert_array_equal(mask_read, MASK)
    assert "none is 0, and 1, the lowest, taken as background" in notes[0]
