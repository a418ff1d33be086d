"""A composed tile: texture of the one inside the mask, the other as it was outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.synthesis.slides_of import SIDE, example
from tilewise.training.synthesis import SynthesisConfig, find_generator
from tilewise.training.synthesis.generator import Example
from tilewise.training.synthesis.texture import TextureGenerator


def pair(seed: int, **texture: float) -> tuple[Example, Example]:
    rng = np.random.default_rng(seed)
    return example("a", rng, **texture), example("b", rng, level=60.0, spread=2.0)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), feather=st.floats(0.0, 0.5))
def test_the_ground_is_that_of_the_shape_and_the_mask_is_its_mask(seed: int, feather: float) -> None:
    texture, shape = pair(seed)
    before = shape.image_CHW.copy(), texture.image_CHW.copy()
    image, mask = TextureGenerator(feather).make(texture, shape, np.random.default_rng(seed))
    outside = shape.mask_HW == 0
    np.testing.assert_array_equal(image[:, outside], shape.image_CHW[:, outside])
    np.testing.assert_array_equal(mask, shape.mask_HW)
    assert image.dtype == mask.dtype == np.uint8
    assert image.shape == (3, SIDE, SIDE)
    np.testing.assert_array_equal(shape.image_CHW, before[0])
    np.testing.assert_array_equal(texture.image_CHW, before[1])
    assert not np.shares_memory(mask, shape.mask_HW)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), level=st.floats(90, 160), spread=st.floats(5, 25))
def test_inside_it_has_the_level_spread_and_grain_of_the_texture(seed: int, level: float, spread: float) -> None:
    texture, shape = pair(seed, level=level, spread=spread)
    image, mask = TextureGenerator(0.0).make(texture, shape, np.random.default_rng(seed))
    inside, real = image[:, mask > 0].astype(float), texture.image_CHW[:, texture.mask_HW > 0].astype(float)
    assert inside.mean() == pytest.approx(real.mean(), abs=0.2 * spread)
    assert inside.std() == pytest.approx(real.std(), rel=0.15)
    # Neighbours differ as much as they do in the texture: nothing was smoothed.
    both = (mask[:, 1:] > 0) & (mask[:, :-1] > 0)
    steps = np.abs(np.diff(image.astype(float), axis=2))[:, both].mean()
    assert steps == pytest.approx(2 * spread / np.sqrt(np.pi), rel=0.2)


def test_every_pixel_inside_is_one_of_the_textures_region() -> None:
    texture, shape = pair(3)
    colours = {tuple(pixel) for pixel in texture.image_CHW[:, texture.mask_HW > 0].T}
    image, mask = TextureGenerator(0.0).make(texture, shape, np.random.default_rng(0))
    assert {tuple(pixel) for pixel in image[:, mask > 0].T} <= colours


def test_the_seam_fades_and_is_where_the_feather_says() -> None:
    texture, shape = pair(5, level=200.0, spread=0.0)
    flat = Example("b", np.full_like(shape.image_CHW, 40), shape.mask_HW)
    hard, _ = TextureGenerator(0.0).make(texture, flat, np.random.default_rng(0))
    soft, _ = TextureGenerator(0.1).make(texture, flat, np.random.default_rng(0))
    jump = [np.abs(np.diff(image.astype(int), axis=2)).max() for image in (hard, soft)]
    assert jump[0] == 160
    assert jump[1] <= 160 / (0.1 * SIDE + 1) * 1.5 + 1
    assert soft.max() == 200  # the middle is all texture


def test_the_same_numbers_give_the_same_tile_and_others_another() -> None:
    texture, shape = pair(1)
    first, again, other = (
        TextureGenerator(0.05).make(texture, shape, np.random.default_rng(seed))[0] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_signature_tells_seams_apart() -> None:
    wide_seam, narrow_seam = (find_generator(SynthesisConfig(method="texture", feather=width)) for width in (0.1, 0.2))
    assert wide_seam.signature != narrow_seam.signature
