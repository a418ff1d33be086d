"""What a head learns from, tile by tile; `bags` has the other way, slide by slide."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tilewise.models import HeadConfig, Standardisation
from tilewise.models.aggregate_tiles import aggregate_mean, build_aggregator
from tilewise.models.heads import build_head
from tilewise.training.data import FeatureData, PartData
from tilewise.training.tile_weights import class_totals, tile_weights
from tilewise.training_config.training import TrainingConfig
from tilewise.training_loop import Sampler, class_weights, hard_targets


class Samples(Protocol):
    """The samples of a train part, tiles or whole slides, and the module that learns from them.

    Attributes:
        standardisation: fitted on the train part.
        module: everything that learns.
        head: the part of it that makes logits of a sample's vector.
        sampler: draws the samples of an epoch.
        num_batches: of an epoch.
        targets_MC: shares of the classes, of each sample.
        weights_M: of each sample in the loss, class weights left out; see `sample_weights`.
        class_weights_C: of each class in the loss.
    """

    standardisation: Standardisation
    module: nn.Module
    head: nn.Module
    sampler: Sampler
    num_batches: int
    targets_MC: Tensor
    weights_M: Tensor
    class_weights_C: NDArray[np.float64]

    def vectors(self, samples: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the head is shown of some samples, (B, D), and the mean loss of their tiles where there is one."""

    def tiles(self, samples: Tensor) -> Tensor:
        """Positions of their tiles in the train part."""

    def predict_validation(self) -> NDArray[np.float64]:
        """Probabilities of the slides of validation, (S, C), by the module as it is."""


class TileSamples:
    """Each tile is a sample, with the label of its slide, or each slide's one vector; see `Samples`."""

    def __init__(self, data: FeatureData, head: HeadConfig, config: TrainingConfig, generator: torch.Generator) -> None:
        train, num_classes = data.train, len(data.classes)
        shares_N = tile_weights(train, config.weight)
        labels_N = train.labels_S[train.tile_slide_N]
        self.standardisation = Standardisation.fit(train.features_ND, shares_N)
        self.class_weights_C = class_weights(config.loss, class_totals(train, num_classes, config.weight))
        built = build_head(head, num_features=train.features_ND.shape[1], num_classes=num_classes, generator=generator)
        self.head: nn.Module = built
        self.module: nn.Module = built
        self.sampler = Sampler(config.sampling, train.labels_S, train.tile_slide_N)
        batches = config.epoch_config.num_slide_batches if head.takes_slide_vectors else config.epoch_config.num_batches
        self.num_batches = batches(self.sampler.num_draws)
        self.targets_MC = hard_targets(torch.from_numpy(labels_N), num_classes)
        self.weights_M = sample_weights(shares_N, self.class_weights_C, labels_N)
        self._inputs_ND = standardised(self.standardisation, train)
        self._validation, self._validation_inputs_ND = (
            data.validation,
            standardised(self.standardisation, data.validation),
        )
        # A slide that is one vector is its own mean.
        self._aggregate = (
            aggregate_mean if head.takes_slide_vectors else build_aggregator(head, data.validation.mask_ratios_N)
        )

    def vectors(self, samples: Tensor) -> tuple[Tensor, None]:
        """See `Samples`."""
        return self._inputs_ND.index_select(0, samples), None  # several times faster than [samples]

    def tiles(self, samples: Tensor) -> Tensor:
        """See `Samples`."""
        return samples

    def predict_validation(self) -> NDArray[np.float64]:
        """See `Samples`."""
        probabilities_NC = self.head(self._validation_inputs_ND).softmax(dim=1).numpy()
        return self._aggregate(probabilities_NC, self._validation.tile_slide_N, self._validation.num_slides)[0]


def sample_weights(
    shares_M: NDArray[np.float64], class_weights_C: NDArray[np.float64], labels_M: NDArray[np.int64]
) -> Tensor:
    """Weight of each sample beside that of its class, float32; the two multiplied are 1 on average.

    Args:
        shares_M: of each sample in its slide, in any unit.
        class_weights_C: what the loss weighs classes by.
        labels_M: class of each sample.
    """
    return torch.from_numpy((shares_M / (shares_M * class_weights_C[labels_M]).mean()).astype(np.float32))


def standardised(standardisation: Standardisation, part: PartData) -> Tensor:
    """A part's features as the module takes them, float32 (N, D)."""
    if not part.num_slides:
        return torch.empty(0, len(standardisation.mean_D))
    inputs_ND = standardisation.apply(part.features_ND)
    if np.isnan(inputs_ND).any():  # of what stands beside the tiles
        inputs_ND = standardisation.apply(standardisation.fill(part.features_ND))
    return torch.from_numpy(inputs_ND.astype(np.float32))
