"""What one fold is trained from, whatever is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tilewise.encoders import EncoderConfig
from tilewise.folds import Fold
from tilewise.metrics import PrimaryMetric
from tilewise.models import HeadConfig
from tilewise.models.networks import NetworkConfig
from tilewise.training.augment import AugmentConfig
from tilewise.training.pretrain import PretrainConfig
from tilewise.training.pseudo import PseudoConfig
from tilewise.training.synthesis import SynthesisConfig
from tilewise.training_config.training import TrainingConfig


@dataclass(frozen=True)
class FoldRequest:
    """One fold that a model is to be trained on, beside its features or tiles.

    Attributes:
        number: of the fold, from 0.
        fold: its three parts.
        labels: slide id -> class.
        classes: in the order of the probability columns.
        head: of what the encoder gives.
        training: how.
        seed: of the run; every fold draws its own from it.
        metric: that epochs are scored by on validation.
        groups: slide id -> what must not be parted; a slide that is not in it is a group of its own.
        unlabelled: slides without a label that may take part in the fold.
        pseudo: whether they join the train part by the model's own prediction.
        network: what a network is shown, and how much of it is trained; this and all below are of networks alone.
        encoder: which, with which weights.
        augment: how tiles are varied.
        synthesis: which tiles are made to learn from beside those of the slides.
        pretrain: whether, and how, the encoder learns from tiles without labels first.
        offline: never reach for the network to fetch weights.
    """

    number: int
    fold: Fold
    labels: Mapping[str, str]
    classes: tuple[str, ...]
    head: HeadConfig
    training: TrainingConfig
    seed: int
    metric: PrimaryMetric = "macro_f1"
    groups: Mapping[str, str] = field(default_factory=dict)
    unlabelled: tuple[str, ...] = ()
    pseudo: PseudoConfig = field(default_factory=PseudoConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    offline: bool = False
