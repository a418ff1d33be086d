"""What a head behind attention learns from: whole slides."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tilewise.models import HeadConfig, Standardisation
from tilewise.models.bag_models import build_bag_model
from tilewise.models.tile_bags import TileBags
from tilewise.training.config import TrainingConfig
from tilewise.training.data import FeatureData, PartData
from tilewise.training.samples import sample_weights, standardised
from tilewise.training.tile_weights import class_totals, tile_weights
from tilewise.training_loop import Sampler, class_weights, hard_targets


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
        self._slides_at_once = epoch_config.slides_per_batch(train.num_slides)

    def vectors(self, samples: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `Samples`; a slide's loss of tiles counts as the slide does."""
        labels_B = None if self._labels_S is None else self._labels_S[samples]
        pooled = self._model.pool(self._bags.of(samples), labels_B)
        return pooled.vectors_SV, None if pooled.losses_S is None else pooled.losses_S.mean()

    def tiles(self, samples: Tensor) -> Tensor:
        """See `Samples`."""
        return self._bags.tiles(samples)[0]

    def predict_validation(self) -> NDArray[np.float64]:
        """See `Samples`."""
        edges = range(0, self._validation.num_slides, self._slides_at_once)
        slides = torch.arange(self._validation.num_slides)
        logits = [self._model(self._validation.of(slides[start : start + self._slides_at_once])) for start in edges]
        probabilities_SC: NDArray[np.float64] = torch.cat(logits).softmax(dim=1).double().numpy()
        return probabilities_SC


class _Bags:
    """The tiles of slides, found by slide."""

    def __init__(self, part: PartData, inputs_ND: Tensor) -> None:
        self._inputs_ND = inputs_ND
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

    def of(self, slides_B: Tensor) -> TileBags:
        """Their tiles; a slide may come twice."""
        tiles, places = self.tiles(slides_B)
        return TileBags(self._inputs_ND.index_select(0, tiles), places, len(slides_B))
