import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tilewise.errors import SlideError, SlideTooLarge
from tilewise.slides import open_slide
from tilewise.slides.png import encode_png
from tilewise.synthetic.faults.files import (
    ENORMOUS_FAMILIES,
    REPACKED_FAMILIES,
    UNREADABLE_FAMILIES,
    enormous_png,
    repack_png,
    spoil_file,
)
from tilewise.synthetic.slide import DrawnSlide


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("family", UNREADABLE_FAMILIES)
def test_spoilt_files_cannot_be_read(slide: DrawnSlide, tmp_path, family: str, seed: int) -> None:
    path = tmp_path / "img_0000.png"
    path.write_bytes(spoil_file(np.random.default_rng(seed), encode_png(slide.rgb), family=family))
    with pytest.raises(SlideError), open_slide(path) as reader:
        reader.thumbnail(64)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", REPACKED_FAMILIES)
def test_repacked_files_are_equal_in_pixels_and_not_in_bytes(slide: DrawnSlide, family: str, seed: int) -> None:
    for pixels in (slide.rgb, slide.mask.astype(np.uint8) * 255):
        data = encode_png(pixels)
        again = repack_png(np.random.default_rng(seed), pixels, family=family, data=data)
        np.testing.assert_array_equal(imagecodecs.png_decode(again), pixels)
        with Image.open(io.BytesIO(again)) as image:
            np.testing.assert_array_equal(np.asarray(image), pixels)
        assert (again == data) == (family == "same-bytes")


@pytest.mark.parametrize("family", ENORMOUS_FAMILIES)
def test_enormous_files_are_true_pngs(family: str) -> None:
    small = enormous_png(np.random.default_rng(2), family=family, side=997)
    with Image.open(io.BytesIO(small)) as image:
        image.load()
        assert image.size == (997, 997)
        pixels = np.asarray(image).astype(int)
    assert pixels.max() - pixels.min() >= (1 if family == "bilevel" else 50)
    np.testing.assert_array_equal(imagecodecs.png_decode(small).shape[:2], (997, 997))


@pytest.mark.parametrize("family", ENORMOUS_FAMILIES)
def test_enormous_files_are_small_and_refused(tmp_path, family: str) -> None:
    data = enormous_png(np.random.default_rng(2), family=family)
    assert len(data) < 4_000_000
    path = tmp_path / "img_0000.png"
    path.write_bytes(data)
    with pytest.raises(SlideTooLarge), open_slide(path):
        pass
