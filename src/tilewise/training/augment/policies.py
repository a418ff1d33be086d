"""RandAugment, TrivialAugment and AugMix, on tiles and masks together.

Spaces and operations are torchvision's (`RandAugment`, `TrivialAugmentWide`, `AugMix`); these refuse masks and draw
from the global generator, so what is drawn, and in what order it is done, stands here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tilewise.torchvision_repair import import_repaired
from tilewise.training_config.augment import Operation, PolicyConfig

_BINS, _MIX_BINS = 31, 10
_DEEPEST_CHAIN = 3

Pair = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class _Space:
    """The strongest each operation gets; `posterize` counts bits taken away from `bits`."""

    shear: float
    translate_px: tuple[float, float]
    degrees: float
    color: float
    bits: int
    bits_less: int


def apply_policy(images_SCHW: Tensor, mask_HW: Tensor | None, config: PolicyConfig, rng: np.random.Generator) -> Pair:
    """Change one tile by a policy: all its fields of view alike, and its mask where the tile moves; uint8.

    Cubuk et al., RandAugment, CVPR workshops 2020; Müller and Hutter, TrivialAugment, ICCV 2021; Hendrycks et al.,
    AugMix, ICLR 2020.
    """
    height, width = images_SCHW.shape[-2:]
    pair = (images_SCHW, mask_HW)
    match config.kind:
        case "rand_augment":
            space = _Space(0.3, (150.0 / 331.0 * width, 150.0 / 331.0 * height), 30.0, 0.9, 8, 4)
            for _ in range(config.num_operations):
                pair = operate(pair, *_draw(space, config, config.magnitude / (_BINS - 1), rng))
        case "trivial_augment":
            space = _Space(0.99, (32.0, 32.0), 135.0, 0.99, 8, 6)
            pair = operate(pair, *_draw(space, config, rng.integers(_BINS) / (_BINS - 1), rng))
        case "aug_mix":
            space = _Space(0.3, (width / 3.0, height / 3.0), 30.0, 0.9, 4, 4)
            pair = _mix_chains(pair, space, config, rng)
    return pair


def operate(pair: Pair, operation: Operation, amount: float) -> Pair:
    """One operation on a tile (S, 3, H, W) and its mask (H, W).

    Args:
        pair: uint8 tile and mask, or None for the mask.
        operation: a name of torchvision's policies.
        amount: in its own unit: shear as a tangent, shift in pixels, turn in degrees, change of a factor, bits, or the
            level to solarize from as a share of white.
    """
    images_SCHW, mask_HW = pair
    v2 = import_repaired("torchvision.transforms.v2.functional")
    if operation in _MOVES:
        move = _MOVES[operation]
        moved_HW = None if mask_HW is None else move(v2, mask_HW[None, None], amount)[0, 0]
        # Torchvision's own fill leaves a dark seam where it blends; what lies outside is 0 instead, in the negative.
        return 255 - move(v2, 255 - images_SCHW, amount), moved_HW
    return _COLORS[operation](v2, images_SCHW, amount), mask_HW


def _draw(space: _Space, config: PolicyConfig, strength: float, rng: np.random.Generator) -> tuple[Operation, float]:
    """An operation and its amount, to either side where it has two."""
    operation = config.operations[rng.integers(len(config.operations))]
    sign = -1.0 if rng.random() < 0.5 else 1.0
    x_px, y_px = space.translate_px
    signed = {"shear_x": space.shear, "shear_y": space.shear, "translate_x": x_px, "translate_y": y_px}
    signed |= {"rotate": space.degrees}
    signed |= dict.fromkeys(("brightness", "color", "contrast", "sharpness"), space.color)
    if operation in signed:
        return operation, sign * strength * signed[operation]
    return operation, {
        "posterize": float(round(space.bits - space.bits_less * strength)),
        "solarize": 1.0 - strength,
    }.get(operation, 0.0)


def _mix_chains(pair: Pair, space: _Space, config: PolicyConfig, rng: np.random.Generator) -> Pair:
    own = rng.beta(1.0, 1.0)
    shares = (1.0 - own) * rng.dirichlet(np.ones(config.num_chains))
    mixed = [None if part is None else own * part.to(torch.float32) for part in pair]
    for share in shares:
        chain = pair
        for _ in range(rng.integers(1, _DEEPEST_CHAIN + 1)):
            chain = operate(chain, *_draw(space, config, rng.integers(config.severity) / (_MIX_BINS - 1), rng))
        mixed = [
            None if whole is None or part is None else whole + share * part
            for whole, part in zip(mixed, chain, strict=True)
        ]
    images, mask = (None if part is None else part.round().clamp(0.0, 255.0).to(torch.uint8) for part in mixed)
    assert images is not None
    return images, mask


def _move(
    v2: Any, pixels: Tensor, *, shift: tuple[int, int] = (0, 0), shear: tuple[float, float] | None = None
) -> Tensor:
    moved: Tensor = v2.affine(
        pixels,
        angle=0.0,
        translate=list(shift),
        scale=1.0,
        shear=[0.0, 0.0] if shear is None else [math.degrees(math.atan(slope)) for slope in shear],
        interpolation=_bilinear(),
        # Shears keep the top left corner, as in the papers.
        center=None if shear is None else [0.0, 0.0],
    )
    return moved


def _bilinear() -> Any:
    return import_repaired("torchvision.transforms.v2").InterpolationMode.BILINEAR


_MOVES: Mapping[str, Callable[[Any, Tensor, float], Tensor]] = {
    "shear_x": lambda v2, pixels, amount: _move(v2, pixels, shear=(amount, 0.0)),
    "shear_y": lambda v2, pixels, amount: _move(v2, pixels, shear=(0.0, amount)),
    "translate_x": lambda v2, pixels, amount: _move(v2, pixels, shift=(int(amount), 0)),
    "translate_y": lambda v2, pixels, amount: _move(v2, pixels, shift=(0, int(amount))),
    "rotate": lambda v2, pixels, amount: v2.rotate(pixels, amount, interpolation=_bilinear()),
}

_COLORS: Mapping[str, Callable[[Any, Tensor, float], Tensor]] = {
    "identity": lambda _, images, __: images,
    "brightness": lambda v2, images, amount: v2.adjust_brightness(images, 1.0 + amount),
    "color": lambda v2, images, amount: v2.adjust_saturation(images, 1.0 + amount),
    "contrast": lambda v2, images, amount: v2.adjust_contrast(images, 1.0 + amount),
    "sharpness": lambda v2, images, amount: v2.adjust_sharpness(images, 1.0 + amount),
    "posterize": lambda v2, images, amount: v2.posterize(images, int(amount)),
    "solarize": lambda v2, images, amount: v2.solarize(images, 255.0 * amount),
    "auto_contrast": lambda v2, images, _: v2.autocontrast(images),
    "equalize": lambda v2, images, _: v2.equalize(images),
}
