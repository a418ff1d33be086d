"""What every change does, and what none of them may do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tilewise.training.augment import Augment, AugmentConfig
from tilewise.training_loop import seeded

Batch = Callable[..., tuple[torch.Tensor, torch.Tensor]]

EVERY = {
    "horizontal_flip": {"horizontal_flip": 1.0},
    "vertical_flip": {"vertical_flip": 1.0},
    "quarter_turn": {"quarter_turn": 1.0},
    "rotation": {"affine": {"probability": 1.0}},
    "translation": {"affine": {"probability": 1.0, "degrees": 0.0, "translation": 0.3}},
    "scale": {"affine": {"probability": 1.0, "degrees": 0.0, "scale": (0.6, 0.7)}},
    "elastic": {"elastic": {"probability": 1.0}},
    "brightness": {"color": {"probability": 1.0, "contrast": 0, "saturation": 0, "hue": 0}},
    "contrast": {"color": {"probability": 1.0, "brightness": 0, "saturation": 0, "hue": 0}},
    "saturation": {"color": {"probability": 1.0, "brightness": 0, "contrast": 0, "hue": 0}},
    "hue": {"color": {"probability": 1.0, "brightness": 0, "contrast": 0, "saturation": 0, "hue": 0.1}},
    "hed": {"hed": {"probability": 1.0}},
    "blur": {"blur": {"probability": 1.0, "sigma_px": (0.8, 1.5)}},
    "rand_augment": {"policy": {"kind": "rand_augment"}},
    "trivial_augment": {"policy": {"kind": "trivial_augment"}},
    "aug_mix": {"policy": {"kind": "aug_mix", "severity": 10}},
}
MOVES = ("horizontal_flip", "vertical_flip", "quarter_turn", "rotation", "translation", "scale", "elastic")
ALL = {
    "horizontal_flip": 0.5,
    "vertical_flip": 0.5,
    "quarter_turn": 0.75,
    "affine": {"probability": 0.5, "translation": 0.1, "scale": (0.8, 1.25)},
    "elastic": {"probability": 0.5},
    "policy": {"kind": "aug_mix", "probability": 0.5},
    "color": {"probability": 0.5},
    "hed": {"probability": 0.5},
    "blur": {"probability": 0.5},
}


def changed(options: dict, images: torch.Tensor, masks: torch.Tensor | None, seed: int = 0):
    return Augment(AugmentConfig.model_validate(options))(images, masks, seeded(seed))


def without_probability(options: dict) -> dict:
    return {name: {**value, "probability": 0.0} if isinstance(value, dict) else 0.0 for name, value in options.items()}


@pytest.mark.parametrize("name", EVERY)
def test_every_change_does_something_and_keeps_type_shape_and_input(name: str, batch: Batch) -> None:
    images, masks = batch()
    before = images.clone(), masks.clone()
    changed_images, changed_masks = changed(EVERY[name], images, masks)
    assert (changed_images.dtype, changed_images.shape, changed_masks.dtype, changed_masks.shape) == (
        torch.uint8,
        images.shape,
        torch.uint8,
        masks.shape,
    )
    different = (changed_images != images).flatten(1).float().mean(dim=1)
    assert (different > 0.05).float().mean() > 0.6
    assert torch.equal(images, before[0])
    assert torch.equal(masks, before[1])
    if name in ("brightness", "contrast", "saturation", "hue", "hed", "blur"):
        assert torch.equal(changed_masks, masks)


@pytest.mark.parametrize("name", [*EVERY, "all"])
def test_probability_0_is_the_identity(name: str, batch: Batch) -> None:
    images, masks = batch()
    options = without_probability({**ALL, **EVERY}[name] if name != "all" else ALL)
    assert AugmentConfig.model_validate(options).is_off
    changed_images, changed_masks = changed(options, images, masks)
    assert torch.equal(changed_images, images)
    assert torch.equal(changed_masks, masks)


@pytest.mark.parametrize(
    "options",
    [
        {"affine": {"probability": 1.0, "degrees": 0.0}},
        {"elastic": {"probability": 1.0, "shift_px": 0.0}},
        {"color": {"probability": 1.0, "brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}},
        {"hed": {"probability": 1.0, "strength": 0.0}},
        {"policy": {"kind": "trivial_augment", "operations": ("identity",)}},
        {"policy": {"kind": "aug_mix", "operations": ("identity",)}},
    ],
    ids=str,
)
def test_no_strength_is_the_identity(options: dict, batch: Batch) -> None:
    images, masks = batch()
    changed_images, changed_masks = changed(options, images, masks)
    assert torch.equal(changed_images, images)
    assert torch.equal(changed_masks, masks)


@pytest.mark.parametrize("name", [*MOVES, "all moves"])
def test_a_mask_stays_with_its_tile_and_all_fields_move_alike(name: str, batch: Batch) -> None:
    images, masks = batch(num=8)
    options = EVERY.get(name, {key: ALL[key] for key in ("horizontal_flip", "quarter_turn", "affine", "elastic")})
    changed_images, changed_masks = changed(options, images, masks)
    for field in range(2):
        apart = (changed_images[:, field, 1].int() - (255 - changed_masks.int())).abs()
        assert apart.max() <= 1
    # The other channels are noise of their own, moved the same way as well.
    twin = images.clone()
    twin[:, 1] = twin[:, 0]
    changed_images, _ = changed(options, twin, masks)
    assert torch.equal(changed_images[:, 0], changed_images[:, 1])


@pytest.mark.parametrize(
    "name", [*MOVES, *(f"{kind} moves" for kind in ("rand_augment", "trivial_augment", "aug_mix"))]
)
def test_what_comes_in_from_outside_is_glass_without_mask(name: str) -> None:
    images, masks = torch.zeros(16, 1, 3, 40, 40, dtype=torch.uint8), torch.full((16, 40, 40), 255, dtype=torch.uint8)
    moves = ("rotate", "translate_x", "translate_y", "shear_x", "shear_y")
    options = EVERY.get(name) or {"policy": {"kind": name.split(maxsplit=1)[0], "operations": moves}}
    changed_images, changed_masks = changed(options, images, masks)
    # Black tissue all in the mask: every pixel that is not black is glass, and all channels agree.
    assert (changed_images.int() + changed_masks[:, None, None].int() - 255).abs().max() <= 1
    if name in ("rotation", "translation", "scale") or "moves" in name:
        # AugMix leaves some of the tile as it was everywhere.
        assert (changed_masks == 0).any() or "aug_mix" in name
        assert (changed_masks < 250).float().mean() > 0.01


@pytest.mark.parametrize("name", [*EVERY, "all"])
def test_seed_epoch_and_batch_decide_and_nothing_else(name: str, batch: Batch) -> None:
    images, masks = batch()
    augment = Augment(AugmentConfig.model_validate(EVERY.get(name, ALL)))
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 - must not be touched
    first = augment(images, masks, seeded(1, 2, 3))
    torch.rand(7)
    again = augment(images, masks, seeded(1, 2, 3))
    torch.random.set_rng_state(states[0])
    augment(images, masks, seeded(1, 2, 3))
    assert torch.equal(torch.random.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    if "flip" not in name:
        assert not torch.equal(augment(images, masks, seeded(1, 2, 4))[0], first[0])


def test_masks_make_no_difference_to_tiles_and_other_tensors_can_follow(batch: Batch) -> None:
    images, masks = batch()
    with_masks, _ = changed(ALL, images, masks)
    without, none = changed(ALL, images, None)
    assert none is None
    assert torch.equal(with_masks, without)
    # One field alone, from the same state of the generator, is changed as it is among others.
    assert torch.equal(changed(ALL, images[:, :1], None)[0], with_masks[:, :1])


def test_switching_one_change_on_leaves_the_numbers_of_the_others(batch: Batch) -> None:
    images, masks = batch()
    geometry = {"horizontal_flip": 0.5, "affine": {"probability": 0.7}}
    _, plain = changed(geometry, images, masks)
    _, colored = changed(geometry | {"color": {"probability": 0.5}, "hed": {"probability": 1.0}}, images, masks)
    assert torch.equal(plain, colored)


@pytest.mark.parametrize("name", ["rotation", "elastic", "hue", "hed", "blur", "rand_augment"])
def test_a_probability_is_the_share_of_tiles(name: str) -> None:
    one = torch.randint(0, 230, (1, 1, 3, 16, 16), dtype=torch.uint8, generator=seeded(0))
    ((section, options),) = EVERY[name].items()
    operations = {"operations": ("equalize",)} if section == "policy" else {}
    changed_images, _ = changed(
        {section: {**options, **operations, "probability": 0.3}}, one.expand(400, 1, 3, 16, 16), None
    )
    assert (changed_images != one).flatten(1).any(dim=1).float().mean().item() == pytest.approx(0.3, abs=0.06)


def test_every_tile_has_numbers_of_its_own(batch: Batch) -> None:
    images, _ = batch(num=1)
    changed_images, _ = changed(ALL, images.expand(12, *images.shape[1:]), None)
    assert len(changed_images.flatten(1).unique(dim=0)) >= 11


def test_tiles_that_are_not_square_and_empty_batches(batch: Batch) -> None:
    images, masks = batch(width=56, height=40)
    options = {**ALL, "quarter_turn": 0.0}
    changed_images, changed_masks = changed(options, images, masks)
    assert (changed_images.shape, changed_masks.shape) == (images.shape, masks.shape)
    with pytest.raises(ValueError, match="only square tiles can be turned, got 56 x 40"):
        changed({"quarter_turn": 1.0}, images.expand(6, 2, 3, 40, 56), None)
    empty, _ = changed(options, images[:0], masks[:0])
    assert empty.shape == images[:0].shape


def test_other_types_are_refused(batch: Batch) -> None:
    images, masks = batch()
    with pytest.raises(ValueError, match="as uint8"):
        changed(ALL, images.float(), masks)
    with pytest.raises(ValueError, match="as uint8"):
        changed(ALL, images, masks.bool())


def test_squares_are_cut_at_every_place_alike_and_a_mask_with_its_tile(batch: Batch) -> None:
    images, masks = batch(num=400, fields=1, width=12, height=10)
    # Every pixel tells where it is.
    images[:, :, 0], images[:, :, 2] = torch.arange(12), torch.arange(10)[:, None]
    before = images.clone()
    cut, cut_masks = Augment(AugmentConfig(), crop_px=8)(images, masks, seeded(0, 0, 0))
    again, _ = Augment(AugmentConfig(), crop_px=8)(images, None, seeded(0, 0, 0))
    assert (cut.shape, cut_masks.shape) == ((400, 1, 3, 8, 8), (400, 8, 8))
    assert torch.equal(images, before)
    assert torch.equal(cut, again)
    assert torch.equal(cut[:, 0, 1], 255 - cut_masks)
    left, top = cut[:, 0, 0, 0, 0], cut[:, 0, 2, 0, 0]
    for index in range(400):
        where = (slice(int(top[index]), int(top[index]) + 8), slice(int(left[index]), int(left[index]) + 8))
        assert torch.equal(cut[index], images[index][..., where[0], where[1]])
    # 5 x 3 places, each as likely; four standard deviations.
    counts = np.bincount((top * 5 + left).numpy(), minlength=15)
    assert np.abs(counts - 400 / 15).max() < 4 * np.sqrt(400 / 15)
    whole, _ = Augment(AugmentConfig(), crop_px=16)(images, None, seeded(0, 0, 0))
    assert torch.equal(whole, images)


def test_a_crop_leaves_the_numbers_of_the_other_changes(batch: Batch) -> None:
    images, masks = batch()
    config = AugmentConfig(horizontal_flip=0.5, quarter_turn=0.5)
    cut, _ = Augment(config, crop_px=48)(images, masks, seeded(0, 0, 0))
    assert torch.equal(cut, Augment(config)(images, masks, seeded(0, 0, 0))[0])
