"""What a class loses when something is not there: a check of maps that needs no gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt

from tilewise.extraction.bag import FeatureBag
from tilewise.inference.network import InferenceOptions, tile_batch
from tilewise.inference.slide_tiles import SlideTiles
from tilewise.models import FoldModel
from tilewise.models.networks import NetworkModel
from tilewise.tiles.window import Boxes

Floats = npt.NDArray[np.float64]

_MOST_GROUPS = 64  # of tiles that are left out together
_ROWS = 20_000  # tiles that are predicted at a time
_PARTS = 4  # of a tile's side
_LEAST = 1e-7  # probability; log odds of 0 and 1 have no end


@dataclass(frozen=True)
class Occlusion:
    """By how much log odds of a class fall when a tile, or a part of one, is not there.

    Zeiler and Fergus, Visualizing and understanding convolutional networks, ECCV 2014.

    Attributes:
        tiles_K: int64, which tiles of the slide.
        falls_KHW: float32; of heads (K, 1, 1) of the slide's log odds without the tile, of networks of the tile's with
            a part of it in the mean colour of the slide's tiles. Below 0 it spoke against the class.
    """

    tiles_K: npt.NDArray[np.int64]
    falls_KHW: npt.NDArray[np.float32]


def leave_tiles_out(
    heads: Sequence[FoldModel], weights: Sequence[float], bags: Sequence[FeatureBag], class_index: int
) -> Occlusion | None:
    """Leave out each tile of a slide, or of more than 64 each group of neighbours; None where nothing would be left.

    Args:
        heads: of one classifier.
        weights: of the heads, summing to 1.
        bags: of the slide, one for each head.
        class_index: of the class.
    """
    groups_T = _neighbours(bags[0].boxes)
    num_groups = int(groups_T.max()) + 1
    if num_groups < 2:
        return None
    probabilities_G = np.zeros(num_groups + 1)
    for head, weight, bag in zip(heads, weights, bags, strict=True):
        probabilities_G += weight * np.concatenate(list(_without_groups(head, bag, groups_T, class_index)))
    odds_G = _log_odds(probabilities_G)
    falls_T = (odds_G[-1] - odds_G[:-1])[groups_T]
    return Occlusion(np.arange(len(groups_T)), falls_T[:, None, None].astype(np.float32))


def _neighbours(boxes: Boxes) -> npt.NDArray[np.int64]:
    """Group of each tile, from 0: its own, or of many tiles the cell of a grid over their centres."""
    if len(boxes) <= _MOST_GROUPS:
        return np.arange(len(boxes))
    side = int(_MOST_GROUPS**0.5)
    centres_T2 = boxes[:, :2] + boxes[:, 2:] / 2.0
    extent_2 = np.maximum(np.ptp(centres_T2, axis=0), 1.0)
    cells_T2 = ((centres_T2 - centres_T2.min(axis=0)) / extent_2 * side).astype(np.int64).clip(0, side - 1)
    return np.unique(cells_T2 @ [1, side], return_inverse=True)[1].reshape(-1)


def _without_groups(
    head: FoldModel, bag: FeatureBag, groups_T: npt.NDArray[np.int64], class_index: int
) -> Iterator[Floats]:
    """Probability of the slide without each group, and last with all tiles; some groups at a time."""
    num_groups, placements_TP = int(groups_T.max()) + 1, bag.placements_NP
    step = max(1, _ROWS // len(groups_T))
    for start in range(0, num_groups + 1, step):
        left_out = range(start, min(start + step, num_groups + 1))
        present = [np.flatnonzero(groups_T != group) for group in left_out]
        tiles_N = np.concatenate(present)
        slides_N = np.repeat(np.arange(len(present)), [len(tiles) for tiles in present])
        probabilities_SC, _ = head.predict_slides(
            bag.features_ND[tiles_N],
            slides_N,
            len(present),
            None if bag.context_E is None else np.tile(bag.context_E, (len(present), 1)),
            None if placements_TP is None else placements_TP[tiles_N],
        )
        yield probabilities_SC[:, class_index].astype(np.float64)


def cover_parts(
    models: Sequence[NetworkModel],
    weights: Sequence[float],
    tiles: Sequence[SlideTiles],
    tiles_K: npt.NDArray[np.int64],
    class_index: int,
    options: InferenceOptions,
) -> Occlusion:
    """Cover sixteen parts of some tiles one by one; of several fields of view the first.

    Args:
        models: of one classifier.
        weights: of the networks, summing to 1.
        tiles: of the slide, one set for each network.
        tiles_K: which tiles.
        class_index: of the class.
        options: threads.
    """
    falls_KHW = np.zeros((len(tiles_K), _PARTS, _PARTS))
    for model, weight, own in zip(models, weights, tiles, strict=True):
        mean_C = own.images_TSCHW[:, 0].mean(axis=(0, 2, 3))
        for position, tile in enumerate(tiles_K.tolist()):
            batch = tile_batch(own, np.full(_PARTS**2 + 1, tile))
            images_BSCHW = batch.images_BSCHW.numpy()
            for number, (rows, columns) in enumerate(_parts(images_BSCHW.shape[-1], model.network.crop_px)):
                images_BSCHW[number, 0, :, rows, columns] = mean_C.round()[:, None, None]
            probabilities_BC = model.predict_tiles(batch, num_threads=options.num_threads)
            odds_B = _log_odds(probabilities_BC[:, class_index].astype(np.float64))
            falls_KHW[position] += weight * (odds_B[-1] - odds_B[:-1]).reshape(_PARTS, _PARTS)
    return Occlusion(tiles_K, falls_KHW.astype(np.float32))


def _parts(side: int, crop_px: int | None) -> Iterator[tuple[slice, slice]]:
    """The parts of a tile, or of its middle where a network sees no more, row by row."""
    visible = crop_px or side
    edges = (side - visible) // 2 + np.linspace(0, visible, _PARTS + 1).round().astype(int)
    spans = [slice(int(start), int(stop)) for start, stop in pairwise(edges)]
    yield from product(spans, spans)


def _log_odds(probabilities: Floats) -> Floats:
    clipped = probabilities.clip(_LEAST, 1.0 - _LEAST)
    odds: Floats = np.log(clipped) - np.log1p(-clipped)
    return odds
