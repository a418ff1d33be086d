"""Tiles and their masks, varied at random: batches in, batches out."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilewise.training.augment.blurs import blur, draw_blurs
from tilewise.training.augment.colors import change_colors, draw_colors
from tilewise.training.augment.flips import draw_turns, turn
from tilewise.training.augment.policies import apply_policy
from tilewise.training.augment.stains import change_stains, draw_stains
from tilewise.training.augment.warps import draw_affine, draw_elastic, look, sampling_grid
from tilewise.training_config.augment import AugmentConfig

_GLASS, _NO_MASK = 255, 0
# A processor is two to three times as fast when what it works on stays in its cache.
_TILES_AT_ONCE = 4

Pair = tuple[Tensor, Tensor | None]
Numbers = TypeVar("Numbers", np.float32, np.float64)


class _Stream(IntEnum):
    """Each kind of change has random numbers of its own, so that switching one on leaves the others as they are."""

    TURN, AFFINE, ELASTIC, POLICY, COLOR, HED, BLUR, CROP = range(8)


class Augment:
    """Random changes of a batch; see `AugmentConfig`.

    With `crop_px`, squares of this side are cut at places drawn at random, so that the batch comes out smaller.
    Every tile has its own numbers, and all its fields of view and its mask the same. The result depends on the batch
    and on the generator alone: take `seeded(seed, epoch, batch)`. Nothing is drawn from torch's global generator.
    """

    def __init__(self, config: AugmentConfig, *, crop_px: int | None = None) -> None:
        self._config, self._crop_px = config, crop_px

    @torch.no_grad()
    def __call__(
        self, images_BSCHW: Tensor, masks_BHW: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """The batch as it is to be learnt from, in new memory or, where nothing is on, as it is.

        Args:
            images_BSCHW: uint8 RGB on any device: tiles, fields of view.
            masks_BHW: uint8, 255 inside the region, in the frame of the first field; or None.
            generator: on the CPU. From the same state, other tensors of the same tiles are changed alike, except that
                `elastic` bends tiles of another size otherwise.

        Raises:
            ValueError: not uint8, or tiles that are not square are to be turned by 90 degrees.
        """
        if images_BSCHW.dtype != torch.uint8 or (masks_BHW is not None and masks_BHW.dtype != torch.uint8):
            raise ValueError("tiles and masks are varied as uint8; turn them into other numbers afterwards")
        entropy = int(torch.randint(0, 2**62, (), generator=generator))
        if (self._config.is_off and self._crop_px is None) or not len(images_BSCHW):
            return images_BSCHW, masks_BHW
        pair = (images_BSCHW, masks_BHW)
        for change, stream in (
            (self._turn, _Stream.TURN),
            (self._warp, _Stream.AFFINE),
            # After what lets glass in at the edges, and before what costs by the pixel.
            (self._crop, _Stream.CROP),
            (self._follow_policy, _Stream.POLICY),
            (self._recolor, _Stream.COLOR),
            (self._restain, _Stream.HED),
            (self._blur, _Stream.BLUR),
        ):
            pair = change(pair, entropy, stream)
        return pair

    def _turn(self, pair: Pair, entropy: int, stream: _Stream) -> Pair:
        config = self._config
        if not (config.horizontal_flip or config.vertical_flip or config.quarter_turn):
            return pair
        images, masks = pair
        ways_B = draw_turns(config, len(images), _rng(entropy, stream))
        return turn(images, ways_B), None if masks is None else turn(masks, ways_B)

    def _warp(self, pair: Pair, entropy: int, stream: _Stream) -> Pair:
        config, (images, masks) = self._config, pair
        if not (config.affine.probability or config.elastic.probability):
            return pair
        height, width = images.shape[-2:]
        moved_B, moves_B4 = draw_affine(config.affine, len(images), _rng(entropy, stream))
        moves_B4[~moved_B] = (0.0, 1.0, 0.0, 0.0)
        bent_B, shifts = draw_elastic(config.elastic, len(images), width, height, _rng(entropy, _Stream.ELASTIC))
        to_unit = torch.tensor([2.0 / width, 2.0 / height])
        bends = torch.from_numpy(shifts).permute(0, 2, 3, 1) * to_unit
        place_B = np.cumsum(bent_B) - 1  # of a tile's own bend
        images, masks = images.clone(), None if masks is None else masks.clone()
        for some in _portions(moved_B | bent_B, images.device):
            grid = sampling_grid(moves_B4[some], width, height)
            grid[torch.from_numpy(bent_B[some])] += bends[place_B[some][bent_B[some]]]
            grid = grid.to(images.device)
            chosen = torch.from_numpy(some).to(images.device)
            images[chosen] = look(images[chosen].flatten(1, 2), grid, _GLASS).reshape(-1, *images.shape[1:])
            if masks is not None:
                masks[chosen] = look(masks[chosen][:, None], grid, _NO_MASK)[:, 0]
        return images, masks

    def _crop(self, pair: Pair, entropy: int, stream: _Stream) -> Pair:
        side, (images, masks) = self._crop_px, pair
        if side is None:
            return pair
        rng = _rng(entropy, stream)
        room_2 = [max(0, length - side) for length in images.shape[-2:]]
        corners_B2 = rng.integers(0, np.array(room_2) + 1, (len(images), 2)).tolist()

        def cut(pixels: Tensor) -> Tensor:
            parts = zip(pixels, corners_B2, strict=True)
            return torch.stack([one[..., top : top + side, left : left + side] for one, (top, left) in parts])

        return cut(images), None if masks is None else cut(masks)

    def _follow_policy(self, pair: Pair, entropy: int, stream: _Stream) -> Pair:
        policy, (images, masks) = self._config.policy, pair
        if policy.kind == "none" or not policy.probability:
            return pair
        rng = _rng(entropy, stream)
        images, masks = images.clone(), None if masks is None else masks.clone()
        for index, own in enumerate(rng.spawn(len(images))):
            if own.random() < policy.probability:
                image, mask = apply_policy(images[index], None if masks is None else masks[index], policy, own)
                images[index] = image
                if masks is not None and mask is not None:
                    masks[index] = mask
        return images, masks

    def _recolor(self, pair: Pair, entropy: int, stream: _Stream) -> Pair:
        if not self._config.color.probability:
            return pair
        changed_B, factors_B4 = draw_colors(self._config.color, len(pair[0]), _rng(entropy, stream))
        return _replaced(pair[0], changed_B, factors_B4, change_colors), pair[1]

    def _restain(self, pair: Pair, entropy: int, stream: _Stream) -> Pair:
        if not self._config.hed.probability:
            return pair
        changed_B, amounts_B4 = draw_stains(self._config.hed, len(pair[0]), _rng(entropy, stream))
        return _replaced(pair[0], changed_B, amounts_B4, change_stains), pair[1]

    def _blur(self, pair: Pair, entropy: int, stream: _Stream) -> Pair:
        if not self._config.blur.probability:
            return pair
        blurred_B, sigmas_B = draw_blurs(self._config.blur, len(pair[0]), _rng(entropy, stream))
        return _replaced(pair[0], blurred_B, sigmas_B, blur), pair[1]


def _rng(entropy: int, stream: _Stream) -> np.random.Generator:
    return np.random.default_rng([entropy, int(stream)])


def _portions(chosen_B: NDArray[np.bool_], device: torch.device) -> list[NDArray[np.int64]]:
    """Positions of the tiles that are chosen, so many at once as the device works on best."""
    chosen = np.flatnonzero(chosen_B)
    step = _TILES_AT_ONCE if device.type == "cpu" else max(1, len(chosen))
    return [chosen[start : start + step] for start in range(0, len(chosen), step)]


def _replaced(
    images_BSCHW: Tensor,
    chosen_B: NDArray[np.bool_],
    numbers_B: NDArray[Numbers],
    change: Callable[[Tensor, NDArray[Numbers]], Tensor],
) -> Tensor:
    """The tiles, those that are chosen changed by their numbers."""
    out = images_BSCHW.clone()
    for some in _portions(chosen_B, out.device):
        chosen = torch.from_numpy(some).to(out.device)
        out[chosen] = change(images_BSCHW[chosen], numbers_B[some])
    return out
