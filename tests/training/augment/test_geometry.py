"""Flips, turns, shifts, scales and bends against other implementations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tilewise.torchvision_repair import import_repaired
from tilewise.training.augment.flips import draw_turns, turn
from tilewise.training.augment.warps import draw_affine, draw_elastic, look, sampling_grid
from tilewise.training_config.augment import AffineConfig, AugmentConfig, ElasticConfig

Batch = Callable[..., tuple[torch.Tensor, torch.Tensor]]


def test_the_eight_ways_are_numpys(batch: Batch) -> None:
    images, masks = batch(num=8, fields=1)
    for way, (image, mask) in enumerate(zip(turn(images, np.arange(8)), turn(masks, np.arange(8)), strict=True)):
        for turned, original in ((image, images[way]), (mask, masks[way])):
            flipped = np.flip(original.numpy(), -1) if way >= 4 else original.numpy()
            np.testing.assert_array_equal(turned, np.rot90(flipped, way % 4, axes=(-2, -1)))


def test_flips_and_turns_come_as_often_as_they_should() -> None:
    rng = np.random.default_rng(0)
    assert set(draw_turns(AugmentConfig(horizontal_flip=1.0), 50, rng)) == {4}
    assert set(draw_turns(AugmentConfig(vertical_flip=1.0), 50, rng)) == {6}
    assert set(draw_turns(AugmentConfig(horizontal_flip=1.0, vertical_flip=1.0), 50, rng)) == {2}
    assert set(draw_turns(AugmentConfig(quarter_turn=1.0), 50, rng)) == {1, 2, 3}
    config = AugmentConfig(horizontal_flip=0.5, vertical_flip=0.5, quarter_turn=0.75)
    np.testing.assert_allclose(np.bincount(draw_turns(config, 8000, rng)) / 8000, 1 / 8, atol=0.02)


def test_a_vertical_flip_is_top_to_bottom(batch: Batch) -> None:
    images, _ = batch()
    assert torch.equal(turn(images, np.full(6, 6)), images.flip(-2))


@pytest.mark.parametrize("size", [(48, 48), (60, 36)])
@pytest.mark.parametrize(
    ("degrees", "scale", "x", "y"), [(30, 1, 0, 0), (0, 1.4, 0, 0), (0, 1, 0.25, -0.25), (-75, 0.7, 0.25, 0.25)]
)
def test_free_moves_are_torchvisions(size, degrees, scale, x, y, batch: Batch) -> None:
    width, height = size
    images, _ = batch(num=1, fields=1, width=width, height=height)
    affine = import_repaired("torchvision.transforms.v2.functional").affine
    bilinear = import_repaired("torchvision.transforms.v2").InterpolationMode.BILINEAR
    theirs = affine(
        images[0].float(),
        angle=degrees,
        translate=[x * width, y * height],
        scale=scale,
        shear=[0.0, 0.0],
        interpolation=bilinear,
        fill=255.0,
    )
    moves = np.array([[np.radians(degrees), scale, x, y]], dtype=np.float32)
    ours = look(images[:, 0], sampling_grid(moves, width, height), 255)
    # At the edge theirs has a dark seam.
    inside = look(torch.full((1, 1, height, width), 255, dtype=torch.uint8), sampling_grid(moves, width, height), 0)
    inside = inside[:, 0] == 255
    assert inside.float().mean() > 0.3
    assert (theirs - ours).abs().amax(dim=1)[inside].max() < 0.6


def test_a_turn_of_90_degrees_is_a_right_angle_and_a_whole_shift_moves_pixels(batch: Batch) -> None:
    images, _ = batch(fields=1)
    quarter = np.tile(np.array([[np.pi / 2, 1, 0, 0]], dtype=np.float32), (6, 1))
    # Positive angles turn clockwise in a picture, as torchvision's affine does.
    assert torch.equal(look(images[:, 0], sampling_grid(quarter, 48, 48), 255), images[:, 0].rot90(-1, (-2, -1)))
    shift = np.tile(np.array([[0, 1, 12 / 48, -6 / 48]], dtype=np.float32), (6, 1))
    moved = look(images[:, 0], sampling_grid(shift, 48, 48), 255)
    assert torch.equal(moved[:, :, :-6, 12:], images[:, 0, :, 6:, :-12])
    assert (moved[:, :, -6:] == 255).all()
    assert (moved[:, :, :, :12] == 255).all()


def test_enlarging_looks_at_the_middle() -> None:
    disc = torch.full((1, 1, 41, 41), 255, dtype=torch.uint8)
    y, x = torch.meshgrid(torch.arange(41) - 20, torch.arange(41) - 20, indexing="ij")
    disc[0, 0][(x**2 + y**2) <= 8**2] = 0
    area = (disc == 0).sum()
    larger = look(disc, sampling_grid(np.array([[0, 2, 0, 0]], dtype=np.float32), 41, 41), 255)
    assert ((larger < 128).sum() / area).item() == pytest.approx(4.0, rel=0.1)


def test_moves_are_drawn_within_their_bounds_and_on_both_sides() -> None:
    config = AffineConfig(probability=1.0, degrees=20.0, translation=0.1, scale=(0.5, 2.0))
    moved, moves = draw_affine(config, 5000, np.random.default_rng(0))
    assert moved.all()
    angle, scale, x, y = moves.T
    for values, bound in ((np.degrees(angle), 20.0), (np.log2(scale), 1.0), (x, 0.1), (y, 0.1)):
        assert np.abs(values).max() <= bound * 1.00001
        assert (values > 0).mean() == pytest.approx(0.5, abs=0.03)
        assert values.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)


@pytest.mark.parametrize(("shift", "smooth"), [(2.0, 12.0), (5.0, 4.0), (1.0, 2.0)])
def test_bends_are_as_far_and_as_smooth_as_they_should_be(shift: float, smooth: float) -> None:
    config = ElasticConfig(probability=1.0, shift_px=shift, smooth_px=smooth)
    bent, shifts = draw_elastic(config, 40, 96, 80, np.random.default_rng(0))
    assert bent.all()
    assert shifts.shape == (40, 2, 80, 96)
    assert np.sqrt((shifts**2).mean()) == pytest.approx(shift, rel=0.1)
    # White noise smoothed by a Gaussian is as like itself at a distance d as exp(-d^2 / (4 sigma^2)).
    apart = max(1, round(smooth))
    like = (shifts[..., apart:] * shifts[..., :-apart]).mean() / (shifts**2).mean()
    assert like == pytest.approx(np.exp(-(apart**2) / (4 * smooth**2)), abs=0.12)


def test_bending_is_torchvisions_elastic_for_the_same_shifts(batch: Batch) -> None:
    images, _ = batch(num=3, fields=1)
    _, shifts = draw_elastic(ElasticConfig(probability=1.0, shift_px=3.0), 3, 48, 48, np.random.default_rng(0))
    elastic = import_repaired("torchvision.transforms.v2.functional").elastic
    unit = torch.from_numpy(shifts).permute(0, 2, 3, 1) * (2 / 48)
    straight = sampling_grid(np.tile(np.array([[0, 1, 0, 0]], dtype=np.float32), (3, 1)), 48, 48)
    ours = look(images[:, 0], straight + unit, 255)
    for index in range(3):
        theirs = elastic(images[index, 0].float(), unit[index : index + 1], fill=255.0)
        inside = theirs.amax(dim=0) < 250
        assert (ours[index] - theirs).abs()[:, inside].median() <= 0.5
