"""Colours, stains and blur against torchvision and the package's own stain room."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tilewise.stain import hed_jitter
from tilewise.torchvision_repair import import_repaired
from tilewise.training.augment.blurs import blur, draw_blurs
from tilewise.training.augment.colors import change_colors, draw_colors
from tilewise.training.augment.stains import change_stains, draw_stains
from tilewise.training_config.augment import BlurConfig, ColorConfig, HedConfig


def stained(num: int = 3, fields: int = 1, side: int = 32, seed: int = 0) -> torch.Tensor:
    """Pinks and purples on glass."""
    rng = np.random.default_rng(seed)
    amounts = rng.gamma(1.0, 0.5, (num, fields, side, side, 2)) * (rng.random((num, fields, side, side, 1)) > 0.2)
    density = amounts @ np.array([[0.55, 0.75, 0.37], [0.20, 0.88, 0.43]])
    rgb = np.round(240 * np.exp(-density) - 1).clip(0, 255).astype(np.uint8)
    return torch.from_numpy(rgb).permute(0, 1, 4, 2, 3).contiguous()


@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize("factor", [0.6, 0.9, 1.15])
def test_one_factor_at_a_time_is_torchvisions(column: int, factor: float) -> None:
    functional = import_repaired("torchvision.transforms.v2.functional")
    adjust = (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation)[column]
    factors = np.tile(np.array([[1, 1, 1, 0]], dtype=np.float32), (3, 1))
    factors[:, column] = factor
    images = stained()
    theirs = torch.stack([adjust(image, factor) for image in images])
    assert (change_colors(images, factors).int() - theirs.int()).abs().max() <= 1


@pytest.mark.parametrize("third", [1, -1])
def test_a_third_of_a_turn_of_hue_is_torchvisions_and_swaps_channels(third: int) -> None:
    factors = np.tile(np.array([[1, 1, 1, third / 3]], dtype=np.float32), (3, 1))
    images = stained()
    changed = change_colors(images, factors)
    assert torch.equal(changed, images.roll(third, dims=2))
    adjust_hue = import_repaired("torchvision.transforms.v2.functional").adjust_hue
    assert (changed.int() - adjust_hue(images, third / 3).int()).abs().max() <= 2


def test_a_little_hue_is_near_torchvisions_and_keeps_the_mean_of_the_channels() -> None:
    factors = np.tile(np.array([[1, 1, 1, 0.03]], dtype=np.float32), (3, 1))
    images = stained()
    changed = change_colors(images, factors)
    theirs = import_repaired("torchvision.transforms.v2.functional").adjust_hue(images, 0.03)
    # Theirs keeps the largest channel and so changes the mean; the colours beside that are alike.
    ours, theirs, before = (
        pixels.float() - pixels.float().mean(dim=2, keepdim=True) for pixels in (changed, theirs, images)
    )
    assert (ours - theirs).abs().mean() < 0.25 * (ours - before).abs().mean()
    inside = (changed.amax(dim=2) < 255) & (changed.amin(dim=2) > 0)
    assert (changed.float().mean(dim=2) - images.float().mean(dim=2)).abs()[inside].max() < 1


def test_greys_have_no_hue_and_no_saturation() -> None:
    greys = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 1, 16, 16).expand(1, 1, 3, 16, 16)
    assert torch.equal(change_colors(greys, np.array([[1, 1, 1.9, 0.4]], dtype=np.float32)), greys)


def test_all_at_once_is_one_after_another() -> None:
    functional = import_repaired("torchvision.transforms.v2.functional")
    images = stained(num=1).float().div(2).add(60).round().to(torch.uint8)  # nothing is cut off
    changed = change_colors(images, np.array([[1.1, 0.8, 1.2, 0]], dtype=np.float32))
    theirs = functional.adjust_saturation(
        functional.adjust_contrast(functional.adjust_brightness(images[0], 1.1), 0.8), 1.2
    )
    assert (changed[0].int() - theirs.int()).abs().max() <= 3  # they cut off decimals, three times


def test_every_field_has_its_own_mean_grey_and_the_same_factors() -> None:
    images = torch.cat([stained(2, 1, seed=1), stained(2, 1, seed=2)], dim=1)
    factors = np.array([[1.1, 0.5, 1, 0.1], [0.9, 1.4, 0.3, 0]], dtype=np.float32)
    together = change_colors(images, factors)
    for field in range(2):
        apart = change_colors(images[:, field : field + 1], factors)
        assert (together[:, field : field + 1].int() - apart.int()).abs().max() <= 1


def test_factors_are_drawn_within_their_bounds() -> None:
    changed, factors = draw_colors(
        ColorConfig(probability=0.7, brightness=0.1, contrast=0.2, saturation=0.3, hue=0.04),
        5000,
        np.random.default_rng(0),
    )
    assert changed.mean() == pytest.approx(0.7, abs=0.03)
    np.testing.assert_allclose(factors.min(axis=0), [0.9, 0.8, 0.7, -0.04], atol=0.005)
    np.testing.assert_allclose(factors.max(axis=0), [1.1, 1.2, 1.3, 0.04], atol=0.005)


@given(st.integers(0, 1000), st.floats(0.01, 0.3))
def test_stains_are_those_of_the_stain_room(seed: int, strength: float) -> None:
    images = stained(num=2, fields=2)
    rng = np.random.default_rng(seed)
    amounts = np.array(
        [[*rng.uniform(1 - strength, 1 + strength, 2), *rng.uniform(-strength, strength, 2)] for _ in range(2)]
    )
    changed = change_stains(images, amounts)
    for field in range(2):
        tiles = images[:, field].permute(0, 2, 3, 1).contiguous().numpy()
        theirs = hed_jitter(tiles, np.random.default_rng(seed), strength=strength)
        assert np.abs(changed[:, field].permute(0, 2, 3, 1).numpy().astype(int) - theirs).max() <= 1


def test_stain_numbers_are_drawn_within_their_bounds() -> None:
    changed, amounts = draw_stains(HedConfig(probability=0.4, strength=0.1), 5000, np.random.default_rng(0))
    assert changed.mean() == pytest.approx(0.4, abs=0.03)
    np.testing.assert_allclose(amounts.min(axis=0), [0.9, 0.9, -0.1, -0.1], atol=0.001)
    np.testing.assert_allclose(amounts.max(axis=0), [1.1, 1.1, 0.1, 0.1], atol=0.001)


def test_blur_is_opencvs() -> None:
    images = stained(num=3, fields=2)
    sigmas = np.array([0.3, 1.0, 2.2], dtype=np.float32)
    changed = blur(images, sigmas)
    for index, sigma in enumerate(sigmas):
        side = 2 * int(np.ceil(3 * sigma)) + 1
        for field in range(2):
            tile = np.ascontiguousarray(images[index, field].permute(1, 2, 0).numpy())
            theirs = cv2.GaussianBlur(tile, (side, side), float(sigma), borderType=cv2.BORDER_REFLECT_101)
            assert np.abs(changed[index, field].permute(1, 2, 0).numpy().astype(int) - theirs).max() <= 1


def test_tiny_tiles_can_be_blurred_and_widths_are_drawn_within_their_bounds() -> None:
    assert blur(stained(num=1, side=4), np.array([5.0], dtype=np.float32)).shape == (1, 1, 3, 4, 4)
    blurred, sigmas = draw_blurs(BlurConfig(probability=0.5, sigma_px=(0.5, 2.0)), 5000, np.random.default_rng(0))
    assert blurred.mean() == pytest.approx(0.5, abs=0.03)
    assert (sigmas.min(), sigmas.max()) == pytest.approx((0.5, 2.0), abs=0.01)
