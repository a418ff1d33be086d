"""What a head behind attention learns from: whole slides."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tilewise.models import HeadConfig, Standardisation
from tilewise.models.bag_model import Pooled
from tilewise.models.bag_models import build_bag_model
from tilewise.models.tile_bags import TileBags
from tilewise.training.data import FeatureData, PartData
from tilewise.training.samples import sample_weights, standardised
from tilewise.training.tile_weights import class_totals, tile_weights
from tilewise.training_config.training import TrainingConfig
from tilewise.training_loop import Sampler, class_weights, hard_targets

# Slides of more tiles together go through the module in parts, so that memory grows with no batch; gradients are those
# of the whole.
_TILES_AT_ONCE = 32768


class BagSamples:
    """Each slide is a sample, with all its tiles; see `Samples`.

    What a slide counts is the weight of its class. Slides are mixed and drawn where tiles are otherwise: MixUp mixes
    the vectors that the head is shown.
    """

    def __init__(self, data: FeatureData, head: HeadConfig, config: TrainingConfig, generator: torch.Generator) -> None:
        train, num_classes, epoch_config = data.train, len(data.classes), config.epoch_config
        self.standardisation = Standardisation.fit(train.features_ND, tile_weights(train, "slide"))
        self.class_weights_C = class_weights(config.loss, class_totals(train, num_classes, "slide"))
        model = build_bag_model(
            head, num_features=train.features_ND.shape[1], num_classes=num_classes, generator=generator
        )
        self._model = model
        self.module: nn.Module = model
        self.head: nn.Module = model.head
        self._labels_S = torch.from_numpy(train.labels_S) if head.instance_weight else None
        self.sampler = Sampler(config.sampling, train.labels_S, np.arange(train.num_slides, dtype=np.int64))
        self.num_batches = epoch_config.num_slide_batches(self.sampler.num_draws)
        self.targets_MC = hard_targets(torch.from_numpy(train.labels_S), num_classes)
        self.weights_M = sample_weights(np.ones(train.num_slides), self.class_weights_C, train.labels_S)
        self._bags = _Bags(train, standardised(self.standardisation, train))
        self._validation = _Bags(data.validation, standardised(self.standardisation, data.validation))
        self._config, self._generator = config.bags, generator

    def vectors(self, samples: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `Samples`; a slide's loss of tiles counts as the slide does."""
        chunks = self._bags.chunks(samples)
        parts: list[Pooled] = []
        for slides in chunks:
            tiles, places = self._drawn(*self._bags.tiles(slides))
            inputs: Any = (tiles, places, slides)
            if len(chunks) == 1:
                parts.append(self._pool(*inputs))
            else:
                parts.append(checkpoint(self._pool, *inputs, use_reentrant=False, preserve_rng_state=False))
        losses = [part.losses_S for part in parts if part.losses_S is not None]
        return torch.cat([part.vectors_SV for part in parts]), torch.cat(losses).mean() if losses else None

    def _pool(self, tiles: Tensor, places: Tensor, slides: Tensor) -> Pooled:
        labels_B = None if self._labels_S is None else self._labels_S[slides]
        return self._model.pool(self._bags.of(tiles, places, len(slides)), labels_B)

    def _drawn(self, tiles: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """The tiles that this step sees of each slide, one at least."""
        config, num_B = self._config, torch.bincount(places)
        if not config.tile_dropout and config.max_tiles is None:
            return tiles, places
        scores_N = torch.rand(len(tiles), generator=self._generator)
        num_drawn_B = ((1.0 - config.tile_dropout) * num_B).ceil()
        if config.max_tiles is not None:
            num_drawn_B = num_drawn_B.clamp(max=config.max_tiles)
        is_drawn_N = TileBags(scores_N[:, None], places, len(num_B)).ranks(scores_N) < num_drawn_B[places]
        return tiles[is_drawn_N], places[is_drawn_N]

    def tiles(self, samples: Tensor) -> Tensor:
        """See `Samples`."""
        return self._bags.tiles(samples)[0]

    def predict_validation(self) -> NDArray[np.float64]:
        """See `Samples`."""
        bags = self._validation
        chunks = bags.chunks(torch.arange(bags.num_slides))
        logits = [self._model(bags.of(*bags.tiles(slides), len(slides))) for slides in chunks]
        probabilities_SC: NDArray[np.float64] = torch.cat(logits).softmax(dim=1).double().numpy()
        return probabilities_SC


class _Bags:
    """The tiles of slides, found by slide."""

    def __init__(self, part: PartData, inputs_ND: Tensor) -> None:
        self._inputs_ND = inputs_ND
        self._placements_NP = None if part.placements_NP is None else torch.from_numpy(part.placements_NP)
        self._order_N = torch.from_numpy(np.argsort(part.tile_slide_N, kind="stable"))
        self._num_tiles_S = torch.from_numpy(part.num_tiles_S)
        self._starts_S = self._num_tiles_S.cumsum(0) - self._num_tiles_S
        self.num_slides = part.num_slides

    def tiles(self, slides_B: Tensor) -> tuple[Tensor, Tensor]:
        """Positions of the slides' tiles, one slide after the other, and the place of each tile's slide among them."""
        num_tiles_B = self._num_tiles_S[slides_B]
        places = torch.arange(len(slides_B)).repeat_interleave(num_tiles_B)
        within = torch.arange(len(places)) - (num_tiles_B.cumsum(0) - num_tiles_B)[places]
        return self._order_N[self._starts_S[slides_B][places] + within], places

    def of(self, tiles: Tensor, places: Tensor, num_slides: int) -> TileBags:
        """Some tiles, each of the slide in its place."""
        placements_NP = None if self._placements_NP is None else self._placements_NP.index_select(0, tiles)
        return TileBags(self._inputs_ND.index_select(0, tiles), places, num_slides, placements_NP)

    def chunks(self, slides_B: Tensor) -> list[Tensor]:
        """The slides in their order, in parts that hold as many tiles as go through a module at once."""
        num_tiles_B = self._num_tiles_S[slides_B]
        part_B = (num_tiles_B.cumsum(0) - num_tiles_B) // _TILES_AT_ONCE
        return [slides_B[part_B == part] for part in sorted(set(part_B.tolist()))]
