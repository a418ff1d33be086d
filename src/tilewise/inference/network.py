"""From networks on pixels and slides to slide probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tilewise.execution import Failure, task
from tilewise.inference.slide_tiles import SlideTiles
from tilewise.inference.tilestore import TileStore
from tilewise.models.aggregate_tiles import build_aggregator
from tilewise.models.networks import NetworkModel, TileBatch
from tilewise.models.views import ViewsConfig, each_view

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float64]
_Score = Callable[[TileBatch], npt.NDArray[np.float32]]

_CHUNK = 256  # tiles that are turned into views at a time, a multiple of the tiles of a call
_CALL = 64  # tiles of a forward pass on a graphics card at most, a power of two


@dataclass(frozen=True)
class InferenceOptions:
    """How networks look at slides; no part of what they are.

    Attributes:
        views: ways each tile is looked at; its probabilities are the mean over them.
        num_threads: of the processor; the same number on the same machine gives the same bytes.
        device: `cpu` or `cuda`; on a graphics card the last bits may differ from call to call.
    """

    views: ViewsConfig = field(default_factory=ViewsConfig)
    num_threads: int = 1
    device: str = "cpu"


@dataclass(frozen=True)
class SlideProbabilities:
    """What each of several models says of slides.

    Attributes:
        slide_ids: S slides that could be read, in the order they were asked for.
        probabilities_MSC: float64, of each member.
        num_tiles_S: int64.
        num_unnormalised_S: pictures of each slide that keep their own colours although each was to be normalised by
            itself.
        failures: slides that could not be read.
        tiles: slide -> float32 (M, T, C), of each network and tile; heads on features leave it empty.
    """

    slide_ids: tuple[str, ...]
    probabilities_MSC: Floats
    num_tiles_S: npt.NDArray[np.int64]
    num_unnormalised_S: npt.NDArray[np.int64]
    failures: tuple[Failure, ...] = ()
    tiles: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    @classmethod
    def join(cls, parts: Sequence[SlideProbabilities]) -> SlideProbabilities:
        """What several models say of the same slides, each in a stain of its own."""
        tiles = {name: np.concatenate([part.tiles[name] for part in parts]) for name in parts[0].tiles}
        probabilities_MSC = np.concatenate([part.probabilities_MSC for part in parts])
        return replace(parts[0], probabilities_MSC=probabilities_MSC, tiles=tiles)


def predict_slides(
    models: Sequence[NetworkModel], store: TileStore, slide_ids: Sequence[str], options: InferenceOptions | None = None
) -> SlideProbabilities:
    """Probabilities of slides by each of several networks; every slide is decoded once.

    A slide's probabilities depend on nothing but its own tiles. Tiles that only training may see are left out.

    Args:
        models: of the same classes and inputs.
        store: of the slides' tiles.
        slide_ids: which; each has a tile.
        options: views, threads and device.

    Raises:
        UsageError: the device is not there.
    """
    options = options or InferenceOptions()
    scores = [_scorer(model, options) for model in models]
    names, rows, counts, unnormalised, failures = [], [], [], [], []
    tiles: dict[str, npt.NDArray[np.float32]] = {}
    with task("predicting", len(slide_ids)) as bar:
        for name, tiles_or_failure in store.each(slide_ids):
            bar.advance()
            if isinstance(tiles_or_failure, Failure):
                failures.append(tiles_or_failure)
                continue
            names.append(name)
            tiles[name] = np.stack([_of_tiles(score, tiles_or_failure, options) for score in scores])
            rows.append([_of_slide(model, own_TC) for model, own_TC in zip(models, tiles[name], strict=True)])
            counts.append(len(tiles_or_failure))
            unnormalised.append(tiles_or_failure.num_unnormalised)
    shape = (len(names), len(models), len(models[0].classes))
    probabilities_MSC = np.array(rows, dtype=np.float64).reshape(shape).transpose(1, 0, 2)
    num_tiles_S, num_unnormalised_S = (np.array(numbers, dtype=np.int64) for numbers in (counts, unnormalised))
    return SlideProbabilities(tuple(names), probabilities_MSC, num_tiles_S, num_unnormalised_S, tuple(failures), tiles)


def tile_batch(tiles: SlideTiles, chosen: npt.NDArray[np.int64]) -> TileBatch:
    """Some tiles of one slide as a batch, with what belongs to them; copies."""
    import torch

    masks = None if tiles.masks_THW is None else torch.from_numpy(tiles.masks_THW[chosen])
    wides = None
    if tiles.wide_CHW is not None:
        wides = torch.from_numpy(np.array(tiles.wide_CHW)).expand(len(chosen), -1, -1, -1)
    return TileBatch(torch.from_numpy(tiles.images_TSCHW[chosen]), masks, wides)


def _of_tiles(score: _Score, tiles: SlideTiles, options: InferenceOptions) -> npt.NDArray[np.float32]:
    tiles_T = np.arange(len(tiles))
    parts = [
        _mean_over_views(score, tile_batch(tiles, tiles_T[start : start + _CHUNK]), options.views)
        for start in range(0, len(tiles), _CHUNK)
    ]
    return np.concatenate(parts)


def _of_slide(model: NetworkModel, probabilities_TC: npt.NDArray[np.float32]) -> Floats:
    same_T = np.zeros(len(probabilities_TC), dtype=np.int64)
    probabilities_SC, _ = build_aggregator(model.head)(probabilities_TC, same_T, 1)
    probabilities_C: Floats = probabilities_SC[0]
    return probabilities_C


def _mean_over_views(score: _Score, batch: TileBatch, views: ViewsConfig) -> npt.NDArray[np.float32]:
    pairs = each_view(batch.images_BSCHW, batch.masks_BHW, views)
    wides = (
        [None] * views.num_views
        if batch.wides_BCHW is None
        else [w for w, _ in each_view(batch.wides_BCHW, None, views)]
    )
    probabilities = [
        score(TileBatch(images, masks, wide_BCHW)).astype(np.float64)
        for (images, masks), wide_BCHW in zip(pairs, wides, strict=True)
    ]
    mean_BC: npt.NDArray[np.float32] = np.mean(probabilities, axis=0).astype(np.float32)
    return mean_BC


def _scorer(model: NetworkModel, options: InferenceOptions) -> _Score:
    if options.device == "cpu":
        return lambda batch: model.predict_tiles(batch, num_threads=options.num_threads)
    return _on_card(model, options.device)


def _on_card(model: NetworkModel, device: str) -> _Score:
    import torch

    from tilewise.errors import UsageError

    if not torch.cuda.is_available():
        raise UsageError(f"device {device}: torch sees no graphics card here; take cpu")
    network = model.build().to(device)

    def score(batch: TileBatch) -> npt.NDArray[np.float32]:
        parts: list[torch.Tensor] = []
        with torch.inference_mode():
            for index, call in batch.calls(_CALL):
                logits_BC = network(call.to(device))[: index.stop - index.start].double()
                parts.append(logits_BC.softmax(dim=1).float().cpu())
        probabilities_BC: npt.NDArray[np.float32] = torch.cat(parts).numpy()
        return probabilities_BC

    return score
