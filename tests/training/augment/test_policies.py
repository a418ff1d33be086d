"""Operations and their strengths against torchvision's own policies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch

from tilewise.torchvision_repair import import_repaired
from tilewise.training.augment import policies
from tilewise.training.augment.policies import apply_policy, operate
from tilewise.training_config.augment import OPERATIONS, PolicyConfig

Batch = Callable[..., tuple[torch.Tensor, torch.Tensor]]

NAMES = {name: "".join(word.capitalize() for word in name.split("_")) for name in OPERATIONS}
MOVES = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
HOMES = {"rand_augment": "RandAugment", "trivial_augment": "TrivialAugmentWide", "aug_mix": "AugMix"}
SIDE = 48


def theirs(kind: str):
    v2 = import_repaired("torchvision.transforms.v2")
    return getattr(v2, HOMES[kind])(interpolation=v2.InterpolationMode.BILINEAR, fill=255.0)


def drawn(kind: str, monkeypatch: pytest.MonkeyPatch, num: int = 300, **options) -> Counter:
    """Every operation and amount that a policy asks for, and how often."""
    counts: Counter = Counter()

    def record(pair, operation, amount):
        counts[operation, round(amount, 4)] += 1
        return pair

    monkeypatch.setattr(policies, "operate", record)
    tile = torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8)
    rng = np.random.default_rng(0)
    for _ in range(num):
        apply_policy(tile, None, PolicyConfig(kind=kind, **options), rng)
    return counts


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("strength", [-0.6, 0.25])
def test_an_operation_is_torchvisions(operation: str, strength: float, batch: Batch) -> None:
    images, masks = batch(num=1)
    amount = {"translate_x": 40 * strength, "translate_y": 40 * strength, "rotate": 60 * strength}.get(
        operation, strength
    )
    amount = {"posterize": 3.0, "solarize": abs(strength)}.get(operation, amount)
    policy = theirs("rand_augment")
    expected = policy._apply_image_or_video_transform(
        images[0], NAMES[operation], amount, interpolation=policy.interpolation, fill=policy._fill
    )
    image, mask = operate((images[0], masks[0]), operation, amount)
    if operation in MOVES:
        # At the edge theirs has a dark seam.
        inside = operate((images[0], torch.full_like(masks[0], 255)), operation, amount)[1] == 255
        assert 0.2 < inside.float().mean() < 1
        assert (image.int() - expected.int()).abs()[..., inside].max() <= 1
        assert ((image == 255) | (expected < 255)).all()
        assert (image[:, 1].int() - (255 - mask.int())).abs().max() <= 1
        assert not torch.equal(mask, masks[0])
    else:
        assert torch.equal(image, expected)
        assert torch.equal(mask, masks[0])


@pytest.mark.parametrize("kind", HOMES)
def test_amounts_are_those_of_torchvisions_space(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = theirs(kind)
    bins = {"rand_augment": [9], "trivial_augment": range(31), "aug_mix": range(3)}[kind]
    expected = set()
    for name in OPERATIONS:
        if NAMES[name] not in policy._AUGMENTATION_SPACE:
            expected.add((name, 0.0))  # AugMix has no identity among its operations; ours may leave a chain as it is
            continue
        amounts, signed = policy._AUGMENTATION_SPACE[NAMES[name]]
        space = amounts(10 if kind == "aug_mix" else 31, SIDE, SIDE)
        levels = [0.0] if space is None else [float(space[index]) for index in bins]
        expected |= {(name, round(sign * level, 4) + 0.0) for level in levels for sign in ((1, -1) if signed else (1,))}
    counts = drawn(kind, monkeypatch, num=4000 if kind == "trivial_augment" else 600)
    close = {(name, round(amount, 3)) for name, amount in expected}
    assert {(name, round(amount, 3) + 0.0) for name, amount in counts} <= close
    assert len(counts) > 0.9 * len(expected)
    assert {name for name, _ in counts} == set(OPERATIONS)


def test_options_of_the_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn("rand_augment", monkeypatch, 100, num_operations=5).total() == 500
    assert drawn("trivial_augment", monkeypatch, 100).total() == 100
    assert drawn("aug_mix", monkeypatch, 100, num_chains=4).total() == pytest.approx(800, abs=80)
    rotations = drawn("rand_augment", monkeypatch, 100, magnitude=30, operations=("rotate",))
    assert {amount for _, amount in rotations} == {30.0, -30.0}
    rotations = drawn("aug_mix", monkeypatch, 200, severity=10, operations=("rotate",))
    assert max(amount for _, amount in rotations) == 30.0
    assert {name for name, _ in drawn("rand_augment", monkeypatch, operations=("color", "equalize"))} == {
        "color",
        "equalize",
    }


def test_aug_mix_mixes_a_tile_and_its_mask_by_the_same_shares(batch: Batch) -> None:
    images, masks = batch(num=1)
    config = PolicyConfig(kind="aug_mix", severity=10, operations=MOVES)
    for seed in range(8):
        image, mask = apply_policy(images[0], masks[0], config, np.random.default_rng(seed))
        assert (image[:, 1].int() - (255 - mask.int())).abs().max() <= 4  # each chain rounds
        assert len(mask.unique()) > 2


def test_aug_mix_weights_are_those_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tile itself keeps a share drawn evenly from 0 to 1; each of three chains gets a third of the rest."""
    monkeypatch.setattr(policies, "operate", lambda pair, *_: (torch.zeros_like(pair[0]), pair[1]))
    white = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    rng = np.random.default_rng(0)
    own = np.array(
        [apply_policy(white, None, PolicyConfig(kind="aug_mix"), rng)[0][0, 0, 0, 0] / 255 for _ in range(2000)]
    )
    assert own.mean() == pytest.approx(0.5, abs=0.02)
    assert own.std() == pytest.approx(1 / np.sqrt(12), rel=0.05)
