import numpy as np
import pytest

from tilewise.synthetic.faults.copies import COPY_FAMILIES, draw_copy, shift_stain, through_jpeg
from tilewise.synthetic.slide import DrawnSlide


def marked(slide: DrawnSlide) -> tuple[np.ndarray, np.ndarray]:
    """A picture whose pixels tell where they come from, and a mask that is a function of it."""
    height, width = slide.mask.shape
    y, x = np.indices((height, width))
    rgb = np.stack([x % 256, y % 256, (x // 256) * 16 + y // 256], axis=2).astype(np.uint8)
    return rgb, (x * 7 + y * 13) % 31 < 9


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("family", ["rotated", "flipped", "cropped"])
def test_mask_moves_along(slide: DrawnSlide, family: str, seed: int) -> None:
    rgb, mask = marked(slide)
    copy = draw_copy(np.random.default_rng(seed), rgb, mask=mask, family=family)
    assert copy.mask.shape == copy.rgb.shape[:2]
    low_x, low_y, high = (copy.rgb[:, :, channel].astype(int) for channel in range(3))
    x, y = low_x + 256 * (high // 16), low_y + 256 * (high % 16)
    np.testing.assert_array_equal(copy.mask, mask[y, x])
    assert copy.rgb.shape != rgb.shape or (copy.rgb != rgb).any()


def test_steps_say_what_was_done(slide: DrawnSlide) -> None:
    for seed in range(8):
        cropped = draw_copy(np.random.default_rng(seed), slide.rgb, mask=slide.mask, family="cropped")
        x, y, width, height = cropped.steps["cropped"]
        np.testing.assert_array_equal(cropped.rgb, slide.rgb[y : y + height, x : x + width])
        assert width >= 0.8 * slide.mask.shape[1] - 1
        assert height >= 0.8 * slide.mask.shape[0] - 1
        rotated = draw_copy(np.random.default_rng(seed), slide.rgb, mask=slide.mask, family="rotated")
        np.testing.assert_array_equal(rotated.rgb, np.rot90(slide.rgb, rotated.steps["rotated"] // 90))
        jpeg = draw_copy(np.random.default_rng(seed), slide.rgb, mask=slide.mask, family="recompressed")
        np.testing.assert_array_equal(jpeg.rgb, through_jpeg(slide.rgb, jpeg.steps["jpeg"]))
        assert 30 <= jpeg.steps["jpeg"] <= 85


@pytest.mark.parametrize("family", COPY_FAMILIES)
def test_no_copy_is_equal(slide: DrawnSlide, family: str) -> None:
    for seed in range(5):
        copy = draw_copy(np.random.default_rng(seed), slide.rgb, mask=slide.mask, family=family)
        assert copy.rgb.shape != slide.rgb.shape or (copy.rgb != slide.rgb).mean() > 0.02
        assert copy.steps


def test_combined_copies_move_and_recolour(slide: DrawnSlide) -> None:
    moves, colours = {"rotated", "flipped", "cropped"}, {"jpeg", "gain", "offset", "stain"}
    for seed in range(12):
        steps = set(draw_copy(np.random.default_rng(seed), slide.rgb, mask=slide.mask, family="combined").steps)
        assert steps & moves
        assert steps & colours
        assert steps <= moves | colours


def test_stain_shift_of_nothing_changes_nothing(slide: DrawnSlide) -> None:
    same = shift_stain(slide.rgb, strengths=np.ones(3), shifts=np.zeros(3))
    assert np.abs(same.astype(int) - slide.rgb).max() <= 1


def test_stronger_stain_is_darker_and_leaves_glass(slide: DrawnSlide) -> None:
    strong = shift_stain(slide.rgb, strengths=np.full(3, 1.3), shifts=np.zeros(3)).astype(int)
    assert strong[slide.tissue].mean() < slide.rgb[slide.tissue].mean() - 5
    assert np.abs(strong - slide.rgb)[~slide.tissue].mean() < 1.5
